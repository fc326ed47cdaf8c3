"""What holds for every test: what it needs is here, or it is left out by name; in CI nothing is."""

import os
from collections import Counter

import pytest
from hypothesis import settings

from tests.interop.matrix import pytest_addoption, pytest_configure
from tests.lab.kubeapi.backend import Choice, chosen, describe
from tests.requirements import REQUIREMENTS, missing

# Hooks of tests/interop, which has to hear what every worker reports.
__all__ = ["pytest_addoption", "pytest_configure"]

# How long an example takes says something about the machine only; under CI=true hypothesis knows by itself.
settings.register_profile("any machine", deadline=None)
if not os.environ.get("CI"):
    settings.load_profile("any machine")

SEPARATOR = "; "
"""Between the sentences of why a test was left out."""


def pytest_xdist_auto_num_workers() -> int:
    """Most tests wait for routers and timers: more workers than cores. A shared cluster takes one."""
    return 1 if chosen() is Choice.EXISTING else min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what this machine cannot run; where `CI=true` promises everything, that is a failure."""
    if item.get_closest_marker("emulator_only") and chosen() is not Choice.EMBEDDED:
        pytest.skip("injects faults that only the embedded API server can make")
    why = {sentence for marker in item.iter_markers() if (sentence := missing(marker.name))}
    if not why:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, but {SEPARATOR.join(sorted(why))}", pytrace=False)
    pytest.skip(SEPARATOR.join(sorted(why)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out and how to get it."""
    left_out = Counter(
        why
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
        for why in report.longrepr[2].removeprefix("Skipped: ").split(SEPARATOR)
    )
    if not left_out:
        return
    terminalreporter.section("left out")
    for why, count in left_out.most_common():
        terminalreporter.write_line(f"{count:5} tests: {why}")
    terminalreporter.write_line("As root on Debian or Ubuntu, `make test` installs what its packages have.")


def pytest_report_header() -> list[str]:
    """The API server that the tests talk to, and what of the optional parts is here."""
    here = [name for name in REQUIREMENTS if missing(name) is None]
    return [f"Kubernetes API: {describe()}", f"here: {', '.join(here) or 'none of the optional parts'}"]
