"""Fuzzing for a given time: `python -m tests.fuzz.run --seconds 60`, or `make fuzz`.

Exit status 1 on a finding, whose input is then in `tests/fuzz/corpus/found`, where the tests replay it.
With atheris the inputs are guided by coverage; without it they are made by hypothesis.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import structured, targets

_ROOT = Path(__file__).resolve().parents[2]
_NO_ATHERIS = (
    f"There is no atheris for this Python ({sys.version_info.major}.{sys.version_info.minor}), "
    "so the inputs are made by hypothesis and not guided by coverage."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzzes; 0 when nothing was found, 1 when something was."""
    chosen = _parser().parse_args(arguments)
    names = [chosen.target] if chosen.target else list(targets.TARGETS)
    whole = sum(targets.WEIGHTS[name] for name in names)
    guided = importlib.util.find_spec("atheris") is not None and not chosen.unguided
    if not guided and not chosen.unguided:
        print(_NO_ATHERIS)
    found = False
    for name in names:
        seconds = max(1, round(chosen.seconds * targets.WEIGHTS[name] / whole))
        clean = _guided(name, seconds) if guided else structured.run(name, seconds)
        print(f"{name}: {seconds} s, {'nothing found' if clean else 'A FINDING'}", flush=True)
        found = found or not clean
    targets.close()
    return int(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description="Fuzz the speaker.")
    parser.add_argument("--seconds", type=float, default=60.0, help="in all, shared by the targets")
    parser.add_argument("--target", choices=sorted(targets.TARGETS), help="only this one")
    parser.add_argument("--unguided", action="store_true", help="use hypothesis although atheris is there")
    return parser


def _guided(name: str, seconds: int) -> bool:
    """Whether a process of its own has found nothing."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        corpus, artifacts = Path(folder) / "corpus", Path(folder) / "artifacts"
        corpus.mkdir()
        artifacts.mkdir()
        # libFuzzer adds to its corpus whatever reaches new code; ours keeps seeds and findings alone.
        for file in targets.corpus():
            if targets.target_of(file) == name:
                shutil.copy(file, corpus)
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds), str(corpus), str(artifacts)]
        with tempfile.TemporaryFile("w+") as log:
            done = subprocess.run(
                command,
                cwd=_ROOT,
                env=os.environ | {"PYTHONPATH": str(_ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
            log.seek(0)
            _tell(log.readlines(), found=done.returncode != 0)
        for file in artifacts.iterdir():
            # A hang or too much memory is libFuzzer's own finding; a crash has been kept where it was seen.
            if not file.name.startswith("crash"):
                print(f"  its input: {targets.keep(name, file.read_bytes())}")
    return done.returncode == 0


def _tell(lines: Sequence[str], *, found: bool) -> None:
    """The number of inputs; with a finding what it is."""
    statistics = ("stat::number_of_executed_units", "stat::average_exec_per_sec", "stat::peak_rss_mb")
    for line in lines:
        is_noise = line.startswith(("INFO:", "WARNING:", "#", "0x", "MS:", "stat::", "artifact_prefix"))
        if line.startswith(statistics) or (found and not is_noise):
            print(f"  {line.rstrip()[:400]}")


if __name__ == "__main__":
    sys.exit(main())
