"""Packets when a speaker, or its node, goes away: to an address of all nodes, and to one of a single node.

What tests/e2e/test_traffic.py has not: a single next hop, BFD, and a node that is switched off.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.failover.measuring import measure
from tests.lab.failover.rack import Rack
from tests.lab.failover.scenarios import (
    BFD,
    DRAINING,
    RESTART,
    RESTART_BFD,
    RESTART_BFD_GRACEFUL,
    Event,
    Setup,
)
from tests.lab.routers.drivers import DRIVERS
from tests.lab.routers.router import Router
from tests.lab.waiting import eventually

pytestmark = [pytest.mark.netns, pytest.mark.e2e]

NODES = 2
SHORTLY = replace(DRAINING, flags=("--shutdown=withdraw", "--drain-seconds=1"))
LONG_HOLD_TIME = 240
"""Longer than any test waits."""
PACKETS_OF_A_WHILE = 1000


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets, whose paths must be short."""
    made = Path(tempfile.mkdtemp(prefix="failover-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("bird", "frr")])
def driver(request: pytest.FixtureRequest) -> type[Router]:
    """The routers that forward packets."""
    return DRIVERS[request.param]


async def loses_and_moves_nothing(folder: Path, driver: type[Router], setup: Setup) -> None:
    async with Rack(folder, driver, setup, NODES) as rack:
        figures = await measure(rack, Event.UPGRADE)

    assert (figures.shared.lost, figures.shared.moved) == (0, 0)
    assert (figures.single.lost, figures.single.moved) == (0, 0)


async def test_an_upgrade_loses_no_packet_and_moves_no_flow(folder: Path, driver: type[Router]) -> None:
    """With several next hops, and with a single one."""
    await loses_and_moves_nothing(folder, driver, RESTART)


@pytest.mark.bird
async def test_an_upgrade_loses_nothing_where_bird_takes_the_silence_of_bfd_for_a_restart(
    folder: Path,
) -> None:
    await loses_and_moves_nothing(folder, DRIVERS["bird"], RESTART_BFD_GRACEFUL)


@pytest.mark.frr
async def test_an_upgrade_loses_nothing_beside_bfd_with_frr(folder: Path) -> None:
    """The connection closes before BFD falls silent: FRR then takes it for a restart already."""
    await loses_and_moves_nothing(folder, DRIVERS["frr"], RESTART_BFD)


async def test_a_planned_withdrawal_loses_no_packet_though_the_node_is_off_afterwards(
    folder: Path, driver: type[Router]
) -> None:
    async with Rack(folder, driver, SHORTLY, NODES) as rack:
        figures = await measure(rack, Event.WITHDRAWAL)

    assert figures.shared.lost == 0
    assert figures.shared.moved >= figures.shared.affected > 0


async def test_bfd_finds_a_silently_dead_node_and_its_flows_move(folder: Path, driver: type[Router]) -> None:
    """The hold time is so long that nothing else finds it; afterwards no packet is lost any more."""
    async with (
        Rack(folder, driver, replace(BFD, hold_seconds=LONG_HOLD_TIME), NODES) as rack,
        rack.shared_flow() as flow,
    ):
        await eventually(flow.received, lambda received: received.keys() == rack.nodes)

        with rack.link.silent():
            await rack.wait_leg_gone()
            await rack.speaker.wait_log("bfd is down")
            # What was sent before the router knew is told of as lost only when it is late.
            before = flow.sent
            await eventually(lambda: flow.sent, lambda sent: sent - before > PACKETS_OF_A_WHILE)
            assert flow.moved() > 0
            flow.mark()
            received = await eventually(flow.received, lambda found: sum(found.values()) > 200)
            await flow.stop()
            assert (flow.lost(), flow.moved()) == (0, 0)
            assert received.keys() == {"node2"}

        await rack.wait_whole()
