"""The benchmark measures what it says, at sizes that take no time; no figure is judged here."""

import struct
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address

import pytest

from tests.bench import soak, wire
from tests.bench.rows import changes, command_line, load, transfer
from tests.bench.table import Line, Sense, Side

ROWS: dict[str, Callable[[], Awaitable[list[Line]]]] = {
    "changes": lambda: changes.one_change(pods=30, changes=5),
    "load": lambda: load.flood(pods=30, rate=100, seconds=0.5),
    "receive": lambda: load.receive(routes=1000, runs=1),
    "api": lambda: load.api_cost(pods=40, nodes=4),
    "cli": lambda: command_line.command_line(runs=1),
}
"""One row of each kind, small: a start of the speaker takes longest."""


def side(value: float) -> Side:
    return Side(program="it", settings="none", value=value, unit="s")


def line(sense: Sense, figure: float, bound: float) -> Line:
    return Line(
        row="row", title="title", figure=figure, unit="s", sense=sense, bound=bound, ours=side(figure)
    )


@pytest.mark.parametrize(
    ("sense", "figure", "holds"),
    [
        (Sense.AT_LEAST, 5.0, True),
        (Sense.AT_LEAST, 4.9, False),
        (Sense.AT_MOST, 5.0, True),
        (Sense.AT_MOST, 5.1, False),
        (Sense.REPORTED, 99.0, True),
    ],
)
def test_a_figure_is_judged_by_its_bound(sense: Sense, figure: float, holds: bool) -> None:
    assert line(sense, figure, 5.0).holds is holds


@pytest.mark.netns
@pytest.mark.bird
@pytest.mark.parametrize("name", ROWS)
async def test_a_row_gives_lines_with_figures(name: str) -> None:
    lines = await ROWS[name]()
    assert lines
    assert all(each.ours.runs for each in lines)


@pytest.mark.netns
@pytest.mark.bird
@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(lambda: transfer.with_engine(100, 1), id="engine"),
        pytest.param(lambda: transfer.with_exabgp(100, 1), id="exabgp"),
        pytest.param(lambda: transfer.ready_made_bytes(100, 2), id="ready-made"),
    ],
)
async def test_every_route_arrives(measured: Callable[[], Awaitable[list[float]]]) -> None:
    """Each returns only when the collector has all of them."""
    assert all(seconds > 0 for seconds in await measured())


@pytest.mark.netns
@pytest.mark.bird
@pytest.mark.gobgp
async def test_the_stream_fills_gobgpd() -> None:
    assert await transfer.with_gobgpd(100, 1)


@pytest.mark.netns
async def test_the_soak_ends_with_as_many_samples_as_portions() -> None:
    samples, cpu = await soak.soak(1000, pods=10)
    assert [done for done, _ in samples] == [0.0, 1000.0]
    assert cpu > 0


def test_growth_is_what_the_second_half_has_more() -> None:
    assert soak.growth([(float(n), 100.0 + (n >= 60)) for n in range(100)]) == 1.0


def test_updates_are_read_back_as_they_were_made() -> None:
    """What is measured with has to be right as well: 1,000 prefixes in two messages."""
    made = wire.updates([(index << 8, 24) for index in range(1000)], IPv4Address("192.0.2.1"), [65000])
    read = [read_one(body) for body in bodies(b"".join(made))]
    assert [len(prefixes) for prefixes in read] == [800, 200]
    assert read[0][1] == bytes([24]) + struct.pack("!L", 256)[:3]


def bodies(data: bytes) -> Iterator[bytes]:
    return (body for kind, body in wire.Reader().feed(data) if kind == wire.UPDATE)


def read_one(body: bytes) -> list[bytes]:
    withdrawn, advertised = wire.read_update(body)
    assert withdrawn == []
    return advertised
