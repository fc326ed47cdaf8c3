"""The rows of the benchmark, and the file that keeps their figures.

A row is measured by itself, in any order and as often as one likes; the file holds the last figures of
each. Knows names and figures; must not know how they are measured or told.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.scale.alone import AloneFigures
from tests.lab.scale.clusters import REFLECTORS, ClusterShape, Design
from tests.lab.scale.whole import PartFigures, WholeFigures

FILE = Path(__file__).parents[3] / "docs" / "explanation" / "choosing-a-fabric.json"


@dataclass(frozen=True, slots=True)
class Row:
    """Something to measure.

    Attributes:
        name: what `make scale ROW=` calls it.
        shape: the cluster.
        number: the Node whose speaker is measured alone; None measures all speakers together.
    """

    name: str
    shape: ClusterShape
    number: int | None = None


def _whole(design: Design, size: int) -> Row:
    return Row(f"{design}-{size}", ClusterShape(design, size))


def _node(size: int) -> Row:
    """A Node of a mesh: half of its neighbours dial, it dials the others."""
    return Row(f"node-mesh-{size}", ClusterShape(Design.MESH, size), size // 2)


def _client(size: int) -> Row:
    return Row(f"node-client-{size}", ClusterShape(Design.REFLECTORS, size), REFLECTORS + size // 2)


def _reflector(size: int) -> Row:
    return Row(f"node-reflector-{size}", ClusterShape(Design.REFLECTORS, size), 1)


ROWS = (
    _whole(Design.MESH, 10),
    _whole(Design.MESH, 50),
    _whole(Design.MESH, 100),
    _whole(Design.REFLECTORS, 100),
    _whole(Design.REFLECTORS, 200),
    _node(10),
    _node(100),
    _node(500),
    _node(1000),
    _client(100),
    _client(500),
    _client(2000),
    _reflector(100),
    _reflector(200),
    _reflector(400),
)


@dataclass(frozen=True, slots=True)
class Results:
    """The last figures of each row.

    Attributes:
        whole: clusters, by the row's name.
        alone: single speakers, by the row's name.
        machine: what they were measured on, in words.
    """

    whole: Mapping[str, WholeFigures]
    alone: Mapping[str, AloneFigures]
    machine: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The rows that have not been measured."""
        return tuple(row.name for row in ROWS if row.name not in {*self.whole, *self.alone})

    def with_row(self, row: Row, figures: WholeFigures | AloneFigures) -> "Results":
        """The same with other figures of one row."""
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        if isinstance(figures, WholeFigures):
            return Results({**self.whole, row.name: figures}, self.alone, machine)
        return Results(self.whole, {**self.alone, row.name: figures}, machine)


def load(path: Path = FILE) -> Results:
    """The figures in the file; none when there is no file."""
    if not path.exists():
        return Results({}, {})
    document = json.loads(path.read_text(encoding="utf-8"))
    return Results(
        {name: _whole_figures(values) for name, values in document["whole"].items()},
        {name: AloneFigures(**values) for name, values in document["alone"].items()},
        document["machine"],
    )


def save(results: Results, path: Path = FILE) -> None:
    """Write the file, the rows in the order of `ROWS`."""
    names = [row.name for row in ROWS]
    document = {
        "machine": results.machine,
        "whole": {name: asdict(results.whole[name]) for name in names if name in results.whole},
        "alone": {name: asdict(results.alone[name]) for name in names if name in results.alone},
    }
    text = json.dumps(document, indent=2, default=float)
    path.write_text(text + "\n", encoding="utf-8")


def _whole_figures(values: Mapping[str, object]) -> WholeFigures:
    parts = {
        name: None if values[name] is None else PartFigures(**values[name])  # type: ignore[arg-type]
        for name in ("speakers", "reflectors")
    }
    return WholeFigures(**{**values, **parts})  # type: ignore[arg-type]
