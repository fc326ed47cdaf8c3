"""What holds for every test: what it needs is here, or it is left out by name; in CI nothing is."""

import os
from collections import Counter

import pytest

from tests.requirements import REQUIREMENTS, missing

_left_out: Counter[str] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what this machine cannot run; where `CI=true` promises everything, that is a failure."""
    why = [sentence for marker in item.iter_markers() if (sentence := missing(marker.name))]
    if not why:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, but {'; '.join(why)}", pytrace=False)
    _left_out.update(why)
    pytest.skip("; ".join(why))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out and how to get it."""
    if not _left_out:
        return
    terminalreporter.section("left out")
    for why, count in _left_out.most_common():
        terminalreporter.write_line(f"{count} tests: {why}")
    terminalreporter.write_line("As root on Debian or Ubuntu, `make test` installs what is missing.")


def pytest_report_header() -> list[str]:
    """What of the optional parts is here."""
    here = [name for name in REQUIREMENTS if missing(name) is None]
    return [f"here: {', '.join(here) or 'none of the optional parts'}"]
