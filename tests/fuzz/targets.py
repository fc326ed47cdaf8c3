"""All fuzz targets by name, and the files of their inputs.

A file of the corpus is called after its target: `stream-…`, `messages-…` and so on.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.fuzz.bodies import bodies_target
from tests.fuzz.packets import bfd_target
from tests.fuzz.sessions import close_engines, messages_target, stream_target
from tests.fuzz.texts import annotations_target, close_control, control_target

CORPUS = Path(__file__).parent / "corpus"
SEEDS, FOUND = CORPUS / "seeds", CORPUS / "found"

Target = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    "messages": messages_target,
    "stream": stream_target,
    "bodies": bodies_target,
    "bfd": bfd_target,
    "annotations": annotations_target,
    "control": control_target,
}

# How much of the time each is worth: the wire is what strangers reach.
WEIGHTS = {"messages": 4, "stream": 2, "bodies": 3, "bfd": 1, "annotations": 1, "control": 1}


def target_of(file: Path) -> str:
    """The name of the target whose input a file is."""
    return file.name.partition("-")[0]


def corpus() -> Iterator[Path]:
    """Every kept input."""
    for folder in filter(Path.is_dir, (SEEDS, FOUND)):
        yield from sorted(file for file in folder.iterdir() if target_of(file) in TARGETS)


def keep(target: str, data: bytes, folder: Path = FOUND) -> Path:
    """Writes an input into the corpus, under its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{target}-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    return file


def close() -> None:
    """Ends what the targets have built."""
    close_engines()
    close_control()
