"""A router that has told routes and then restarts, for the tests of the receiving speaker."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from speaker.model.peer import GracefulRestart
from speaker.model.prefix import Family
from tests.bgp.builders import route
from tests.bgp.meeting import Meeting, meeting
from tests.bgp.travel import with_travel
from tests.fuzz.wire import capability, four_octet_as, multiprotocol, open_message

V4, V6 = Family.IPV4, Family.IPV6
FIRST, SECOND, SIXTH = "10.1.0.0/24", "10.1.1.0/24", "2001:db8:1::/48"
OURS = {"hold_time_seconds": 0, "connect_retry_seconds": 0.2}
RESTART = GracefulRestart(restart_time_seconds=120, deferral_time_seconds=300)
NOTIFIES = GracefulRestart(restart_time_seconds=120, deferral_time_seconds=300, notification=True)
LASTS = GracefulRestart(restart_time_seconds=120, deferral_time_seconds=300, long_lived_seconds=3600)


def restarting_open(
    restart: Mapping[Family, bool] | None,
    long_lived: Mapping[Family, tuple[bool, int]] | None = None,
    *,
    seconds: int = 120,
    flags: int = 0x8,
) -> bytes:
    """The router's OPEN after a restart.

    Args:
        restart: the families of graceful restart with their F bits; None is without the capability.
        long_lived: those of long-lived graceful restart, with F bit and time.
        seconds: the restart time.
        flags: the restart flags: 8 is R, 4 is N.
    """
    number = {V4: 1, V6: 2}
    capabilities = multiprotocol(1) + multiprotocol(2) + four_octet_as(65030)
    if restart is not None:
        entries = [struct.pack("!HBB", number[f], 1, 0x80 * kept) for f, kept in restart.items()]
        capabilities += capability(64, struct.pack("!H", flags << 12 | seconds) + b"".join(entries))
    if long_lived is not None:
        parts = [
            struct.pack("!HBB", number[f], 1, 0x80 * kept) + time.to_bytes(3)
            for f, (kept, time) in long_lived.items()
        ]
        capabilities += capability(71, b"".join(parts))
    return open_message(65030, hold_time=0, capabilities=capabilities)


@asynccontextmanager
async def routes_of_a_router(
    restart: GracefulRestart = RESTART, *, told: tuple[str, ...] = (FIRST, SECOND, SIXTH), **ours: Any
) -> AsyncIterator[Meeting]:
    """A router that has advertised three routes and End-of-RIB."""
    async with meeting(OURS | {"graceful_restart": restart} | ours) as met:
        await met.tell(*map(route, told))
        await met.end_of_rib()
        yield met


async def lose(met: Meeting, times: int = 1) -> None:
    """The TCP connection ends without a word."""
    met.router.hang_up()
    await met.until_closed(times)


async def never(condition: Callable[[], object]) -> None:
    """Gives the speaker some turns, after which the condition must not hold."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert not condition()


def names(met: Meeting) -> set[str]:
    return {str(each.prefix) for each in met.received}


def gone(met: Meeting) -> set[str]:
    return {str(each.prefix) for each in met.withdrawn}


def on_the_travelling_clock(
    scenario: Callable[[], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """A test whose scenario runs where time can be moved."""

    def test() -> None:
        with_travel(scenario)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test
