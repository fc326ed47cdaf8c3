"""The page with the table and its plots: docs/explanation/performance.md, made from figures.json.

Knows how figures are told to people. The words around them stand in page.md; the same figures give the same
page.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from tests.bench import model, plots
from tests.bench.table import Line, Sense, Side, noted, number, shown

_EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
PAGE = _EXPLANATION / "performance.md"
FOLDER = _EXPLANATION / "performance"
FIGURES = FOLDER / "figures.json"
SOAK = FOLDER / "soak.json"

_HEADINGS = ("Row", "Measure", "Speaker", "Other", "Figure", "Wanted", "")


def write_figures(lines: Sequence[Line], machine: str) -> None:
    """Keep a whole run."""
    FOLDER.mkdir(exist_ok=True)
    document = {"machine": machine, "lines": [_rounded(_as_json(line)) for line in lines]}
    FIGURES.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_soak(samples: Sequence[tuple[float, float]], summary: Mapping[str, float]) -> None:
    """Keep a soak: changes so far and MiB, and what it came to."""
    FOLDER.mkdir(exist_ok=True)
    document = _rounded({"samples": samples, "summary": summary})
    SOAK.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")


def write_page() -> None:
    """Write the page and its plots from what is kept; nothing before there is a whole run and a soak."""
    if not (FIGURES.exists() and SOAK.exists()):
        return
    for file, text in files().items():
        file.write_text(text, encoding="utf-8")


def files() -> dict[Path, str]:
    """The page and its plots by their places."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    soak = json.loads(SOAK.read_text(encoding="utf-8"))
    lines = [_line(each) for each in figures["lines"]]
    drawn = {FOLDER / f"{name}.svg": text for name, text in _plots(lines, soak).items()}
    return {PAGE: _page(lines, figures["machine"], soak), **drawn}


def _page(lines: Sequence[Line], machine: str, soak: Mapping[str, Any]) -> str:
    words = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))
    constants = model.constants(lines)
    growth = model.as_rows(model.growth(constants))
    short = [f"`{line.row}` ({line.title})" for line in lines if not line.holds]
    return words.substitute(
        machine=machine,
        table=_table(_HEADINGS, [_cells(line) for line in lines]),
        verdict=_verdict(short),
        sides="\n".join(_sides(line) for line in lines),
        growth=_table(tuple(growth[0]), [tuple(row.values()) for row in growth]),
        base_memory=number(constants.base_mebibytes),
        pod_memory=number(constants.pod_kibibytes),
        base_start=number(constants.base_seconds),
        pod_start=number(constants.pod_microseconds),
        change=number(constants.change_microseconds),
        most_changes=number(model.most_changes(constants)),
        pod_bytes=number(constants.pod_event_kibibytes),
        pods_a_node=str(model.PODS_A_NODE),
        collector=_collector([line for line in lines if line.row == "gc"]),
        **{name: number(value) for name, value in soak["summary"].items()},
    )


def _verdict(short: Sequence[str]) -> str:
    if not short:
        return "Every figure of this run was where it should be."
    return "These fell short in this run, and are marked: " + "; ".join(short) + "."


def _cells(line: Line) -> tuple[str, ...]:
    mark = f"**{line.verdict}**" if not line.holds else line.verdict
    figure = f"{number(line.figure)} {line.unit}"
    return (f"`{line.row}`", line.title, shown(line.ours), shown(line.theirs), figure, line.wanted, mark)


def _sides(line: Line) -> str:
    sides = [f"{side.program} ({side.settings})" for side in (line.ours, line.theirs) if side is not None]
    more = noted(line)
    return f"- `{line.row}`, {line.title}: {' against '.join(sides)}." + (f" {more}." if more else "")


def _collector(lines: Sequence[Line]) -> str:
    """The garbage collector under each setting, ours first."""
    sides = [line.theirs or line.ours for line in lines]
    names = list(lines[0].notes)
    rows = [
        (side.settings, number(side.value), *(number(line.notes[name]) for name in names))
        for side, line in zip(sides, lines, strict=True)
    ]
    return _table(("Setting", "longest pass, ms", *names), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (headings, *rows)]
    return "\n".join([lines[0], "|---" * len(headings) + "|", *lines[1:]])


def _plots(lines: Sequence[Line], soak: Mapping[str, Any]) -> dict[str, str]:
    by_row = {name: [line for line in lines if line.row == name] for name in {line.row for line in lines}}
    changes = by_row["change"][0].ours.runs
    sizes = [
        (float(name.split()[0].replace(",", "")), value)
        for name, value in by_row["scale"][0].notes.items()
        if name.endswith("Pods, µs")
    ]
    latency = [(100 * (index + 1) / len(changes), each) for index, each in enumerate(sorted(changes))]
    return {
        "transfer": plots.bars("Hand-over to last route in BIRD", _bars(by_row["transfer"])),
        "resend": plots.bars("Established to last route in BIRD", _bars(by_row["resend"])),
        "change": plots.curves(
            "PATCH answered to UPDATE on the wire",
            [plots.Curve("ms", latency)],
            across="% of the changes took at most this long",
            up="ms",
        ),
        "scale": plots.curves(
            "CPU of one change", [plots.Curve("µs", sizes)], across="Pods that are loaded", up="µs"
        ),
        "soak": plots.curves(
            "Resident memory under changes",
            [plots.Curve("MiB", soak["samples"])],
            across="changes of Pods so far",
            up="MiB",
        ),
    }


def _bars(lines: Sequence[Line]) -> list[plots.Bar]:
    others = [line.theirs for line in lines if line.theirs is not None]
    return [_bar(lines[0].ours, mine=True), *(_bar(side, mine=False) for side in others)]


def _bar(side: Side, *, mine: bool) -> plots.Bar:
    return plots.Bar(side.program, side.value, side.unit, mine=mine)


def _as_json(line: Line) -> dict[str, Any]:
    return {
        "row": line.row,
        "title": line.title,
        "figure": line.figure,
        "unit": line.unit,
        "sense": line.sense,
        "bound": line.bound,
        "holds": line.holds,
        "ours": _side_as_json(line.ours),
        "theirs": None if line.theirs is None else _side_as_json(line.theirs),
        "notes": dict(line.notes),
    }


def _side_as_json(side: Side) -> dict[str, Any]:
    return {
        "program": side.program,
        "settings": side.settings,
        "value": side.value,
        "unit": side.unit,
        "runs": list(side.runs),
    }


def as_documents(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines as JSON has them."""
    return [_rounded(_as_json(line)) for line in lines]


def _rounded(value: Any) -> Any:
    """Five digits that count: what follows them was noise."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
        case _:
            return value


def _line(document: Mapping[str, Any]) -> Line:
    theirs = document["theirs"]
    return Line(
        row=document["row"],
        title=document["title"],
        figure=document["figure"],
        unit=document["unit"],
        sense=Sense(document["sense"]),
        bound=document["bound"],
        ours=_side(document["ours"]),
        theirs=None if theirs is None else _side(theirs),
        notes=document["notes"],
    )


def _side(document: Mapping[str, Any]) -> Side:
    return Side(**{**document, "runs": tuple(document["runs"])})
