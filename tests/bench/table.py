"""The table as values: one line for each claim, with both sides, the bound and whether it holds.

Knows how a figure is judged, kept as JSON and shown to people. Must not know how it is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console
from rich.table import Table


class Sense(StrEnum):
    """Which side of its bound a figure has to be on."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one program did.

    Attributes:
        program: its name and version.
        settings: how it ran, in a few words.
        value: the median of its runs.
        unit: of the value.
        runs: all of them, in order.
    """

    program: str
    settings: str
    value: float
    unit: str
    runs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One claim.

    Attributes:
        row: the row that it belongs to, as `make bench ROW=` takes it.
        title: what is measured.
        figure: the ratio or count that is judged.
        unit: of the figure; "times" for ratios.
        sense: which side of the bound is right.
        bound: in the same unit; 0 where a figure is only reported.
        ours: the speaker.
        theirs: whom it is compared with; None for a count.
        notes: further figures by name, with their units in the name.
    """

    row: str
    title: str
    figure: float
    unit: str
    sense: Sense
    bound: float = 0.0
    ours: Side
    theirs: Side | None = None
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the figure is where it should be."""
        match self.sense:
            case Sense.AT_LEAST:
                return self.figure >= self.bound
            case Sense.AT_MOST:
                return self.figure <= self.bound
            case Sense.REPORTED:
                return True

    @property
    def wanted(self) -> str:
        """The bound in words."""
        if self.sense is Sense.REPORTED:
            return self.sense
        return f"{self.sense} {number(self.bound)} {self.unit}"

    @property
    def verdict(self) -> str:
        """One word."""
        if self.sense is Sense.REPORTED:
            return "-"
        return "holds" if self.holds else "SHORT"


def number(value: float) -> str:
    """A figure with three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def shown(side: Side | None) -> str:
    """One side in a cell."""
    return "-" if side is None else f"{number(side.value)} {side.unit}"


def noted(line: Line) -> str:
    """The further figures in one sentence, or nothing."""
    return "; ".join(f"{name} {number(value)}" for name, value in line.notes.items())


def show(lines: Sequence[Line], console: Console | None = None) -> None:
    """Print the table, and below it who took part and what else was seen."""
    console = console or Console()
    table = Table("Row", "Measure", "Speaker", "Other", "Figure", "Wanted", "", title="make bench")
    for line in lines:
        style = "" if line.holds else "bold red"
        figure = f"{number(line.figure)} {line.unit}"
        cells = (
            line.row,
            line.title,
            shown(line.ours),
            shown(line.theirs),
            figure,
            line.wanted,
            line.verdict,
        )
        table.add_row(*cells, style=style)
    console.print(table)
    for line in lines:
        sides = [f"{side.program} ({side.settings})" for side in (line.ours, line.theirs) if side is not None]
        more = noted(line)
        console.print(f"[bold]{line.row}[/bold] {line.title}: {' against '.join(sides)}", highlight=False)
        if more:
            console.print(f"    {more}", highlight=False)
