"""`make scale`: how long a fabric takes, and what it costs, from ten speakers to hundreds."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tests.lab.net import namespace
from tests.lab.scale import alone, whole
from tests.lab.scale.page import PAGE, render
from tests.lab.scale.process import ProcessEndedError, prepare
from tests.lab.scale.rows import ROWS, Results, Row, load, save
from tests.lab.waiting import NotReachedError


def main() -> int:
    """Measure the rows; returns 0 if all of them could be measured."""
    arguments = _arguments()
    why = namespace.available()
    if why is not None and not arguments.page_only:
        _say(why)
        return 2
    prepare()
    chosen = [row for row in ROWS if not arguments.row or row.name in arguments.row]
    try:
        failed = [] if arguments.page_only else [row for row in chosen if not _measured(row)]
    except KeyboardInterrupt:
        return 130
    _write_page(load())
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.scale", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("row", nargs="*", metavar="ROW", help=f"only these: {', '.join(names)}")
    parser.add_argument("--page-only", action="store_true", help="write the page from the figures there are")
    arguments = parser.parse_args()
    unknown = set(arguments.row) - set(names)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return arguments


def _measured(row: Row) -> bool:
    """Measure a row and keep its figures at once: the next one may fail."""
    _say(f"{row.name} ...")
    try:
        figures = asyncio.run(_measure(row))
    except (NotReachedError, ProcessEndedError, TimeoutError) as error:
        _say(f"{row.name}: {str(error) or 'it took too long'}")
        return False
    save(load().with_row(row, figures))
    _say(f"{row.name}: {figures}")
    return True


async def _measure(row: Row) -> whole.WholeFigures | alone.AloneFigures:
    if row.number is None:
        return await whole.measure(row.shape)
    return await alone.measure(row.shape, row.number)


def _write_page(results: Results) -> None:
    missing: Sequence[str] = results.missing
    if missing:
        _say(f"the page waits for {', '.join(missing)}")
        return
    PAGE.write_text(render(results), encoding="utf-8")


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
