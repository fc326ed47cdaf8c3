"""The scale benchmark measures what it says, and its model is the arithmetic that the page describes."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.scale import alone, whole
from tests.lab.scale.clusters import ClusterShape, Design, address_of, name_of, number_of, pod_cidr
from tests.lab.scale.model import Constants, Curve, Fabric, Part, estimate, watch_cost
from tests.lab.scale.page import render
from tests.lab.scale.rows import ROWS, Results, load, save
from tests.lab.scale.whole import PartFigures, WholeFigures

LINE = Curve(base=100.0, linear=2.0, square=0.0)
PART = Part(memory=LINE, start=LINE, change=LINE)
CONSTANTS = Constants(mesh=PART, client=PART, reflector=PART)

SPEAKERS = PartFigures(
    speakers=10,
    per_process=5.0,
    sessions=9.0,
    updates=9.0,
    start_cpu_seconds=0.1,
    memory_bytes=1e6,
    base_bytes=5e7,
    change_updates=0.9,
    change_cpu_seconds=0.01,
)
CLUSTER = WholeFigures(start_seconds=1.0, change_seconds=0.1, speakers=SPEAKERS, reflectors=None)
SPEAKER = alone.AloneFigures(
    sessions=9,
    routes=9,
    start_seconds=3.0,
    start_cpu_seconds=1.5,
    memory_bytes=9e7,
    peak_bytes=9e7,
    quiet_cpu=0.0,
    change_seconds=0.1,
    change_cpu_seconds=0.01,
    updates_sent=9.0,
)


def results() -> Results:
    """Figures of every row, larger where there are more Nodes."""
    found = Results({}, {})
    for row in ROWS:
        if row.number is None:
            found = found.with_row(row, CLUSTER)
        else:
            size = row.shape.size
            found = found.with_row(
                row, replace(SPEAKER, memory_bytes=9e7 + 5e4 * size, start_cpu_seconds=1.5 + 0.01 * size)
            )
    return found


@pytest.mark.netns
async def test_every_speaker_of_a_mesh_knows_every_pod_cidr() -> None:
    figures = await whole.measure(ClusterShape(Design.MESH, 4))

    assert (figures.speakers.speakers, figures.speakers.sessions) == (4, 3.0)
    assert figures.speakers.updates == 3.0
    assert figures.reflectors is None


@pytest.mark.netns
async def test_clients_of_two_reflectors_have_two_sessions() -> None:
    figures = await whole.measure(ClusterShape(Design.REFLECTORS, 4))

    assert (figures.speakers.speakers, figures.speakers.sessions) == (4, 2.0)
    assert figures.reflectors is not None
    assert (figures.reflectors.speakers, figures.reflectors.sessions) == (2, 5.0)


@pytest.mark.netns
async def test_a_speaker_alone_has_the_sessions_of_its_node_and_all_routes() -> None:
    figures = await alone.measure(ClusterShape(Design.MESH, 5), 3)

    assert (figures.sessions, figures.routes, figures.updates_sent) == (4, 4, 4)


@pytest.mark.netns
async def test_a_client_alone_learns_all_from_its_reflectors() -> None:
    figures = await alone.measure(ClusterShape(Design.REFLECTORS, 4), 4)

    assert (figures.sessions, figures.routes) == (2, 5)


def test_addresses_and_pod_cidrs_of_nodes_never_meet() -> None:
    cidrs = [pod_cidr(number, which) for number in (1, 2, 5000) for which in range(6)]

    assert len(set(cidrs)) == len(cidrs)
    assert not any(address_of(number) in cidr for number in (1, 5000) for cidr in cidrs)


def test_a_node_is_found_by_its_name() -> None:
    assert number_of(name_of(4711)) == 4711


def test_a_curve_goes_through_both_points() -> None:
    curve = Curve.through(1.0, (100, 3.0), (200, 9.0))

    assert math.isclose(curve.at(100), 3.0)
    assert math.isclose(curve.at(200), 9.0)


@pytest.mark.parametrize("more", [2.0, 1.0, 0.5, 100.0])
def test_no_scatter_of_the_figures_makes_a_curve_fall(more: float) -> None:
    curve = Curve.through(1.0, (100, 3.0), (200, more))

    assert curve.at(1000) <= curve.at(5000)


def test_a_mesh_has_a_connection_for_each_pair() -> None:
    mesh = estimate(CONSTANTS, Fabric.MESH, 100)

    assert (mesh.sessions, mesh.connections, mesh.start_updates) == (99, 4950, 9900)


def test_reflectors_leave_two_sessions_to_a_node() -> None:
    reflected = estimate(CONSTANTS, Fabric.REFLECTORS, 100)

    assert (reflected.sessions, reflected.hub_sessions, reflected.connections) == (2, 99, 197)


def test_nodes_that_learn_nothing_cost_what_a_small_cluster_costs() -> None:
    few, many = (estimate(CONSTANTS, Fabric.SERVERS, nodes) for nodes in (10, 5000))

    assert (few.memory_bytes, few.start_seconds) == (many.memory_bytes, many.start_seconds)
    assert many.routes == 0


def test_watching_grows_with_the_square_of_the_nodes() -> None:
    assert watch_cost(5000).total_bytes == 100 * watch_cost(500).total_bytes


def test_figures_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    save(results(), path)

    assert load(path) == results()
    assert load(path).missing == ()


def test_a_row_that_was_not_measured_is_missing() -> None:
    assert [row.name for row in ROWS] == list(Results({}, {}).missing)


def test_the_page_has_a_line_for_every_row() -> None:
    page = render(results())

    assert [row.name for row in ROWS if f"`{row.name}`" not in page] == []
