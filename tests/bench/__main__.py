"""`make bench`: what the speaker does against what others do, in one run of one machine."""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence

from tests.bench import gobgp_stream, page
from tests.bench.registry import ROWS
from tests.bench.table import Line, show
from tests.lab.net import namespace
from tests.lab.routers.drivers import missing
from tests.lab.scale.process import ProcessEndedError
from tests.lab.waiting import NotReachedError


def main() -> int:
    """Measure; returns 0 if every figure is where it should be."""
    arguments = _arguments()
    lacking = (namespace.available(), missing("bird"), missing("gobgp"), gobgp_stream.missing())
    if why := [sentence for sentence in lacking if sentence]:
        _say(*why)
        return 2
    rows = arguments.row or list(ROWS)
    try:
        lines = asyncio.run(_measure(rows))
    except KeyboardInterrupt:
        return 130
    if arguments.output == "json":
        print(json.dumps(page.as_documents(lines), indent=2, ensure_ascii=False))
    else:
        show(lines)
    whole = {line.row for line in lines} == set(rows)
    if arguments.write and whole:
        page.write_figures(lines, _machine())
        page.write_page()
    return 0 if whole and all(line.holds for line in lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--row", action="append", choices=ROWS, help="only this one; may be repeated")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--write", action="store_true", help="keep the figures and write the page: all rows")
    arguments = parser.parse_args()
    if arguments.write and arguments.row:
        parser.error("the page has every row")
    return arguments


async def _measure(rows: Sequence[str]) -> list[Line]:
    """The lines of these rows; one that cannot be measured is told of, and costs only itself."""
    lines: list[Line] = []
    for name in rows:
        began = time.monotonic()
        try:
            lines += await ROWS[name]()
        except (NotReachedError, ProcessEndedError, RuntimeError, OSError) as error:
            _say(f"{name}: NOT MEASURED: {str(error) or type(error).__name__}")
        _say(f"{name}: {time.monotonic() - began:.0f} s")
    return lines


def _machine() -> str:
    """Where this ran, as the page tells it."""
    cores = os.cpu_count()
    system = f"{platform.system()} {platform.release()}"
    return f"{cores} cores, {system}, {platform.machine()}, Python {platform.python_version()}"


def _say(*sentences: str) -> None:
    for sentence in sentences:
        print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
