"""The checked command line of `speaker advertise`, as values.

Knows no peers, which are in the file that `--config` names, and nothing of Kubernetes. Does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from annotations import values as grammar
from speaker.model.prefix import Address, Prefix
from speaker.model.route import NO_ATTRIBUTES, PathAttributes
from speaker.settings import advertise_flags as flags
from speaker.settings.advertise_flags import ADVERTISE_FLAGS, DEFAULT_HEALTH_PORT
from speaker.settings.bgp_flags import DRAIN_SECONDS
from speaker.settings.check_target import CheckTarget
from speaker.settings.collect import Values
from speaker.settings.process_flags import LOG_FORMAT, LOG_LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """How the local checks are made.

    Attributes:
        targets: every one must pass; () makes no checks at all.
        interval_seconds: the pause between two checks of a target.
        timeout_seconds: how long one check may take.
        rise: so many passes in a row make a target pass.
        fall: so many failures in a row make it fail.
        ca_file: the certificates to trust; None trusts those of the system.
        server_name: the name that the certificate must have; None is the host of the URL.
        insecure: take any certificate.
    """

    targets: tuple[CheckTarget, ...] = ()
    interval_seconds: float = 2.0
    timeout_seconds: float = 2.0
    rise: int = 1
    fall: int = 3
    ca_file: str | None = None
    server_name: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertiseSettings:
    """The checked command line of `speaker advertise`.

    Attributes:
        config: the path of the file of peers.
        prefixes: what to advertise, each once, in the order given.
        attributes: what travels with it; the local preference goes to iBGP peers only.
        checks: what must pass for it to be advertised.
        graceful_restart: what SIGTERM does: let the peers keep the routes, or withdraw them.
        drain_seconds: how long GRACEFUL_SHUTDOWN precedes a planned withdrawal; 0 is off.
        health_address: where HTTP is served.
        health_port: 0 serves no HTTP.
        control_socket: a path; None opens none.
        log_level: "debug", "info", "warning" or "error".
        log_format: "text" or "json".
    """

    config: str
    prefixes: tuple[Prefix, ...]
    attributes: PathAttributes = NO_ATTRIBUTES
    checks: CheckSettings = CheckSettings()
    graceful_restart: bool = False
    drain_seconds: float = 0.0
    health_address: Address
    health_port: int = DEFAULT_HEALTH_PORT
    control_socket: str | None = None
    log_level: str = "info"
    log_format: str = "text"


def advertise_settings(given: Mapping[str, object], environ: Mapping[str, str]) -> AdvertiseSettings:
    """The settings that `given` (flag name to texts) and `environ` describe.

    Raises:
        UsageError: something is wrong; its text tells every problem, a line each.
    """
    values = Values(ADVERTISE_FLAGS, given, environ)
    communities = grammar.read_communities(",".join(values[flags.COMMUNITY])) or grammar.Communities()
    if len(values[flags.COMMUNITY]) > grammar.LIST_LIMIT:
        values.problem(flags.COMMUNITY, f"must be at most {grammar.LIST_LIMIT} communities")
    if values.was_given(flags.ADVERTISE_IP) and not values[flags.ADVERTISE_IP] and not values.problems:
        values.problem(flags.ADVERTISE_IP, "must name an address")
    _check_checks(values)
    values.raise_problems()
    return AdvertiseSettings(
        config=values[flags.CONFIG] or "",
        prefixes=tuple(dict.fromkeys(values[flags.ADVERTISE_IP])),
        attributes=PathAttributes(
            communities=communities.standard,
            large_communities=communities.large,
            extended_communities=communities.extended,
            med=values[flags.MED],
            local_preference=values[flags.LOCAL_PREFERENCE],
        ),
        checks=CheckSettings(
            targets=tuple(dict.fromkeys(values[flags.CHECK])),
            interval_seconds=float(values[flags.CHECK_INTERVAL]),
            timeout_seconds=float(values[flags.CHECK_TIMEOUT]),
            rise=values[flags.CHECK_RISE],
            fall=values[flags.CHECK_FALL],
            ca_file=values[flags.CHECK_CA],
            server_name=values[flags.CHECK_SERVER_NAME],
            insecure=values[flags.CHECK_INSECURE],
        ),
        graceful_restart=values[flags.SHUTDOWN] == "graceful-restart",
        drain_seconds=float(values[DRAIN_SECONDS]),
        health_address=values[flags.HEALTH_ADDRESS],
        health_port=values[flags.HEALTH_PORT],
        control_socket=values[flags.CONTROL_SOCKET],
        log_level=values[LOG_LEVEL],
        log_format=values[LOG_FORMAT],
    )


def _check_checks(values: Values) -> None:
    """Find what is wrong between the flags about checks."""
    schemes = {target.scheme for target in values[flags.CHECK]}
    for flag in (flags.CHECK_CA, flags.CHECK_SERVER_NAME, flags.CHECK_INSECURE):
        if values[flag] and "https" not in schemes and not values.problems:
            values.problem(flag, "needs a --check with https://")
    if values[flags.CHECK_INSECURE]:
        for excluded in (flags.CHECK_CA, flags.CHECK_SERVER_NAME):
            if values[excluded]:
                values.problem(excluded, "excludes --check-insecure, which looks at no certificate")
