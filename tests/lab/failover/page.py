"""The page with the figures: docs/reference/failover.md.

Knows how figures are told to people. The words around them, and what they led to, stand in page.md.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from tests.lab.failover.measuring import Figures, Way
from tests.lab.failover.rack import NODES, PROBES_PER_SECOND, SHARED_FLOWS, SINGLE_FLOWS
from tests.lab.failover.scenarios import HOLD_SECONDS, RESTART_SECONDS, SCENARIOS, Scenario
from tests.lab.routers.abilities import VERSIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "failover.md"

Results = Mapping[str, Mapping[str, Figures]]
"""By router and scenario."""

_HEADINGS = (
    "Event",
    "Sessions",
    "Lost",
    "Black hole",
    f"Moved of {SHARED_FLOWS}",
    "Next hop gone",
    "Back",
    "One next hop: lost",
    "Black hole",
)
_WORDS = 2
"""How many columns hold no numbers."""
_NOTHING = "-"
_LEAST_SECONDS = 0.01


def render(results: Results) -> str:
    """The text of the page."""
    words = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))
    return words.substitute(
        nodes=NODES,
        shared_flows=SHARED_FLOWS,
        single_flows=SINGLE_FLOWS,
        rate=PROBES_PER_SECOND,
        hold=HOLD_SECONDS,
        restart=RESTART_SECONDS,
        tables="\n".join(_section(router, figures) for router, figures in results.items()),
        rows="\n".join(f"- {_title(each)}: {each.meaning}" for each in SCENARIOS),
    )


def plain(figures: Mapping[str, Figures]) -> Iterator[str]:
    """The lines of one router's table, for a terminal."""
    rows = _rows(figures)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _section(router: str, figures: Mapping[str, Figures]) -> str:
    headings, *rows = ["| " + " | ".join(row) + " |" for row in _rows(figures)]
    rule = "|---" * _WORDS + "|---:" * (len(_HEADINGS) - _WORDS) + "|"
    return "\n".join((f"## {VERSIONS[router]}", "", headings, rule, *rows, ""))


def _rows(figures: Mapping[str, Figures]) -> list[tuple[str, ...]]:
    measured = (each for each in SCENARIOS if each.name in figures)
    return [_HEADINGS, *(_row(each, figures[each.name]) for each in measured)]


def _row(scenario: Scenario, figures: Figures) -> tuple[str, ...]:
    return (
        scenario.event.value,
        scenario.setup.words,
        *_way(figures.shared),
        str(figures.shared.moved),
        _seconds(figures.left_seconds, "never"),
        _seconds(figures.returned_seconds, _NOTHING),
        *(_way(figures.single) if scenario.single_path else (_NOTHING, _NOTHING)),
    )


def _title(scenario: Scenario) -> str:
    return f"{scenario.event.value}; {scenario.setup.words}"


def _way(way: Way) -> tuple[str, str]:
    return (f"{way.lost} of {way.sent}", _seconds(way.black_hole_seconds or None, "none"))


def _seconds(seconds: float | None, otherwise: str) -> str:
    if seconds is None:
        return otherwise
    return f"{seconds:.2f} s" if seconds >= _LEAST_SECONDS else f"< {_LEAST_SECONDS} s"
