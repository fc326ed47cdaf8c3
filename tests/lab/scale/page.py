"""The page: docs/explanation/choosing-a-fabric.md.

Knows how figures are told to people. The words around them stand in page.md.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

from tests.lab.scale.model import (
    HEARTBEAT_SECONDS,
    NODE_BYTES,
    NODES_A_RACK,
    Constants,
    Curve,
    Estimate,
    Fabric,
    Part,
    estimate,
    watch_cost,
)
from tests.lab.scale.rows import FILE, ROWS, Results
from tests.lab.scale.whole import PROCESSES, PartFigures, WholeFigures

PAGE = FILE.with_suffix(".md")

SIZES = (10, 50, 100, 500, 1000, 5000)
"""How many Nodes the model is carried to."""

_MEGA = 1_000_000
_KILO = 1_000
_NOTHING = "-"
_TENTH = 0.1

Cells = Sequence[str]


def render(results: Results) -> str:
    """The text of the page; as long as rows are missing, it says which.

    Raises:
        KeyError: a row that the model needs has not been measured.
    """
    constants = Constants.of(results)
    words = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))
    return words.substitute(
        machine=results.machine,
        processes=PROCESSES,
        rack=NODES_A_RACK,
        heartbeat=HEARTBEAT_SECONDS // 60,
        node_kilobytes=NODE_BYTES // _KILO,
        whole="\n".join(_table(_WHOLE_HEADINGS, _whole_rows(results))),
        alone="\n".join(_table(_ALONE_HEADINGS, _alone_rows(results))),
        constants="\n".join(_table(_CONSTANT_HEADINGS, _constant_rows(constants))),
        model="\n\n".join(_fabric(constants, each) for each in Fabric),
        watching="\n".join(_table(_WATCH_HEADINGS, _watch_rows())),
    )


_WHOLE_HEADINGS = (
    "Cluster",
    "All know all after",
    "A change is known after",
    "Speaker",
    "Sessions",
    "UPDATEs at the start",
    "For a change",
    "CPU at the start",
    "For a change",
    "Memory it adds",
)


def _whole_rows(results: Results) -> Iterator[Cells]:
    for row in ROWS:
        figures = results.whole.get(row.name)
        if figures is not None:
            yield from _cluster_rows(row.name, figures)


def _cluster_rows(name: str, figures: WholeFigures) -> Iterator[Cells]:
    times = (f"`{name}`", _seconds(figures.start_seconds), _seconds(figures.change_seconds))
    if figures.reflectors is None:
        yield (*times, "each", *_part_cells(figures.speakers))
        return
    yield (*times, "client", *_part_cells(figures.speakers))
    yield ("", "", "", "reflector", *_part_cells(figures.reflectors))


def _part_cells(part: PartFigures) -> Cells:
    return (
        _number(part.sessions),
        _number(part.updates),
        f"{part.change_updates:.1f}",
        _seconds(part.start_cpu_seconds),
        _seconds(part.change_cpu_seconds),
        _megabytes(part.memory_bytes),
    )


_ALONE_HEADINGS = (
    "Speaker",
    "Sessions",
    "Routes",
    "All is in the kernel after",
    "CPU until then",
    "Memory",
    "CPU when quiet",
    "A change is in the kernel after",
    "CPU for it",
)


def _alone_rows(results: Results) -> Iterator[Cells]:
    for row in ROWS:
        figures = results.alone.get(row.name)
        if figures is not None:
            yield (
                f"`{row.name}`",
                _number(figures.sessions),
                _number(figures.routes),
                _seconds(figures.start_seconds),
                _seconds(figures.start_cpu_seconds),
                _megabytes(figures.memory_bytes),
                f"{100 * figures.quiet_cpu:.1f} %",
                _seconds(figures.change_seconds),
                _seconds(figures.change_cpu_seconds),
            )


_CONSTANT_HEADINGS = ("Speaker", "Memory, MB", "CPU at the start, seconds", "CPU for a change, seconds")


def _constant_rows(constants: Constants) -> Iterator[Cells]:
    for name, part in _parts(constants):
        yield name, _curve(part.memory, _MEGA), _curve(part.start), _curve(part.change)


def _parts(constants: Constants) -> Iterator[tuple[str, Part]]:
    yield "in a mesh", constants.mesh
    yield "client of reflectors, or of routers", constants.client
    yield "reflector", constants.reflector


def _curve(curve: Curve, unit: float = 1.0) -> str:
    terms = [f"{curve.base / unit:.1f}"] if curve.base else []
    terms += [
        f"{factor / unit:.2g} * {variable}"
        for factor, variable in ((curve.linear, "N"), (curve.square, "N^2"))
        if factor
    ]
    return f"`{' + '.join(terms) or 0}`"


_MODEL_HEADINGS = (
    "Nodes",
    "Sessions of a node",
    "TCP connections",
    "Routes of a node",
    "Memory of a speaker",
    "UPDATEs at the start",
    "For a change",
    "All know all after",
    "A change is known after",
)
_HUB_HEADINGS = ("Sessions of a reflector", "Its memory")


def _fabric(constants: Constants, fabric: Fabric) -> str:
    rows = [(nodes, estimate(constants, fabric, nodes)) for nodes in SIZES]
    has_hub = all(each.hub_memory_bytes is not None for _, each in rows)
    headings = (*_MODEL_HEADINGS, *(_HUB_HEADINGS if has_hub else ()))
    cells = [_estimate_cells(nodes, each, has_hub=has_hub) for nodes, each in rows]
    return "\n".join((f"### {fabric.value}", "", *_table(headings, cells)))


def _estimate_cells(nodes: int, each: Estimate, *, has_hub: bool) -> Cells:
    cells = (
        _number(nodes),
        _number(each.sessions),
        _number(each.connections),
        _number(each.routes),
        _megabytes(each.memory_bytes),
        _number(each.start_updates),
        _number(each.change_updates),
        _seconds(each.start_seconds),
        _seconds(each.change_seconds) if each.change_updates else _NOTHING,
    )
    if not has_hub:
        return cells
    return (*cells, _number(each.hub_sessions or 0), _megabytes(each.hub_memory_bytes or 0))


_WATCH_HEADINGS = ("Nodes", "Node events a second", "To each speaker", "From all API servers together")


def _watch_rows() -> Iterator[Cells]:
    for nodes in SIZES:
        cost = watch_cost(nodes)
        events = f"{cost.events:.2g}" if cost.events < 1 else f"{cost.events:.0f}"
        yield _number(nodes), events, _rate(cost.watcher_bytes), _rate(cost.total_bytes)


def _table(headings: Cells, rows: Iterator[Cells] | Sequence[Cells]) -> Iterator[str]:
    yield _row(headings)
    yield "|---|" + "---:|" * (len(headings) - 1)
    yield from map(_row, rows)


def _row(cells: Cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{round(value):,}"


def _megabytes(value: float) -> str:
    mega = value / _MEGA
    return f"{mega:.1f} MB" if mega < 10 else f"{mega:,.0f} MB"


def _seconds(value: float) -> str:
    if value < _TENTH:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:,.0f} s"


def _rate(value: float) -> str:
    if value < _MEGA:
        return f"{value / _KILO:.1f} kB/s"
    return f"{value / _MEGA:,.1f} MB/s"
