"""The routers there are drivers for, and whether this machine has the daemons."""

from tests.lab.routers.bird import Bird
from tests.lab.routers.frr import Frr
from tests.lab.routers.gobgp import GoBgp
from tests.lab.routers.openbgpd import OpenBgpd
from tests.lab.routers.router import Router

DRIVERS: dict[str, type[Router]] = {driver.name: driver for driver in (Bird, Frr, GoBgp, OpenBgpd)}
"""By name, which is also the pytest marker of what needs the daemon."""


def missing(name: str) -> str | None:
    """Why the router of that name cannot be started here, as a sentence, or None when it can."""
    return DRIVERS[name].missing()
