"""What is measured: how the speakers and the router are set up, what happens to node1, and what it shows.

The list only; what an event does is in `tests.lab.failover.events`.
"""

from dataclasses import dataclass
from enum import Enum

RESTART_SECONDS = 15
"""How long routers keep the routes of a speaker that is away, where graceful restart is on."""
HOLD_SECONDS = 9
DRAIN_SECONDS = 3
KILLED_SECONDS = 2.0
UPGRADE_SECONDS = 1.0
"""How long there is no speaker between two of its processes, beside what the new one takes to start."""

_RESTART = ("--graceful-restart", f"--graceful-restart-time={RESTART_SECONDS}s")
_BFD = ("--enable-bfd", "--bfd-min-tx=100", "--bfd-min-rx=100", "--bfd-detection-multiplier=3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the sessions are configured on both ends."""

    words: str
    """For a table; page.md says what they mean."""
    flags: tuple[str, ...] = ()
    bfd: bool = False
    """BFD on the router; the speakers have it by `flags`."""
    hold_seconds: int = HOLD_SECONDS
    bfd_graceful: bool = False
    """BIRD's `bfd graceful` in place of `bfd on`."""


class Event(Enum):
    """What happens to node1, and what is done about it afterwards."""

    KILL = "the speaker is killed, and started again"
    UPGRADE = "the speaker is upgraded"
    SILENCE = "the node is silently dead"
    LINK_DOWN = "the link goes down"
    WITHDRAWAL = "planned withdrawal, then the node is switched off"


PLAIN = Setup(words="plain")
DRAINING = Setup(
    words=f"plain, GRACEFUL_SHUTDOWN for {DRAIN_SECONDS} s",
    flags=("--shutdown=withdraw", f"--drain-seconds={DRAIN_SECONDS}"),
)
RESTART = Setup(words="graceful restart", flags=_RESTART)
BFD = Setup(words="BFD", flags=_BFD, bfd=True)
RESTART_BFD = Setup(words="graceful restart and BFD", flags=(*_RESTART, *_BFD), bfd=True)
RESTART_BFD_GRACEFUL = Setup(
    words="graceful restart and `bfd graceful`", flags=(*_RESTART, *_BFD), bfd=True, bfd_graceful=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row: an event under a setup."""

    name: str
    event: Event
    setup: Setup
    meaning: str
    """One sentence for a reader of the table."""
    runs: int = 3
    single_path: bool = False
    """Whether the address that node1 alone advertises tells anything: it has no other way in any case."""
    loses_none: bool = False
    """No packet may be lost, to the address of the one node neither where that tells anything."""
    moves_none: bool = False
    """No flow may move."""
    routers: frozenset[str] = frozenset({"bird", "frr"})


SCENARIOS = (
    Scenario(
        name="kill",
        event=Event.KILL,
        setup=PLAIN,
        meaning="The router drops the node's routes with the connection, and hears them again from the new"
        " process; the node forwards all the time, so only what has no other next hop loses anything.",
        single_path=True,
    ),
    Scenario(
        name="upgrade",
        event=Event.UPGRADE,
        setup=RESTART,
        meaning="SIGTERM, no speaker for a while, a new process: the router keeps the routes until it has"
        " heard them again.",
        single_path=True,
        loses_none=True,
        moves_none=True,
    ),
    Scenario(
        name="upgrade-bfd",
        event=Event.UPGRADE,
        setup=RESTART_BFD,
        meaning="The same with BFD, which falls silent with the process: what counts is whether the router"
        " takes this for the death of the node.",
        single_path=True,
    ),
    Scenario(
        name="upgrade-bfd-graceful",
        event=Event.UPGRADE,
        setup=RESTART_BFD_GRACEFUL,
        meaning="The same where the router takes the silence of BFD for a restart.",
        single_path=True,
        loses_none=True,
        moves_none=True,
        routers=frozenset({"bird"}),
    ),
    Scenario(
        name="silent",
        event=Event.SILENCE,
        setup=PLAIN,
        meaning="No packet passes the link, and neither end sees it go down: the hold timer has to expire.",
        runs=1,
    ),
    Scenario(
        name="silent-bfd",
        event=Event.SILENCE,
        setup=BFD,
        meaning="The same, found by BFD, 100 ms x 3.",
    ),
    Scenario(
        name="silent-restart",
        event=Event.SILENCE,
        setup=RESTART,
        meaning="The same with graceful restart and no BFD: the hold timer decides, and the routes go then.",
        runs=1,
    ),
    Scenario(
        name="silent-restart-bfd",
        event=Event.SILENCE,
        setup=RESTART_BFD,
        meaning="The same with graceful restart and BFD.",
    ),
    Scenario(
        name="silent-restart-bfd-graceful",
        event=Event.SILENCE,
        setup=RESTART_BFD_GRACEFUL,
        meaning="The same where the router takes the silence of BFD for a restart, and waits for its end:"
        f" the restart time is {RESTART_SECONDS} s here.",
        runs=1,
        routers=frozenset({"bird"}),
    ),
    Scenario(
        name="link-down",
        event=Event.LINK_DOWN,
        setup=PLAIN,
        meaning="The router's interface goes down: its kernel stops using the next hop by itself.",
        runs=1,
    ),
    Scenario(
        name="link-down-restart",
        event=Event.LINK_DOWN,
        setup=RESTART,
        meaning="The same with graceful restart: what is kept is of no use without the link.",
        runs=1,
    ),
    Scenario(
        name="withdrawal",
        event=Event.WITHDRAWAL,
        setup=DRAINING,
        meaning="SIGTERM: the routes become the last choice, then are withdrawn, and the session ends; the"
        " moment that the process has ended, its node is silently dead.",
        loses_none=True,
    ),
    Scenario(
        name="withdrawal-at-once",
        event=Event.WITHDRAWAL,
        setup=PLAIN,
        meaning="The same without GRACEFUL_SHUTDOWN.",
    ),
)
"""In the order of the page."""
