"""Which feature is proven with which router: marks on tests, and the page that a run makes of them.

A test that `proves` a feature runs with every router that has it. Each run gathers what passed; one that
held all of these tests compares it with docs/reference/interoperability.md, or writes that page when it is
asked to (`make interop`). So the page never says more than a run has seen.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.interop.rack import against
from tests.lab.routers.abilities import FEATURES, LACKS, NOTES, VERSIONS, able

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "interoperability.md"
OPTION = "--write-interoperability"
_PROPERTY = "proves"
_NOTE = "<!-- Made by a run of tests/interop: change the tests and run `make interop`. -->"

Test = TypeVar("Test", bound=Callable[..., object])
Pair = tuple[str, str]
"""A feature and a router."""


def proves(*features: str) -> Callable[[Test], Test]:
    """Marks a test as the proof of features; it runs with each router that has all of them."""
    routers = [name for name in VERSIONS if all(name in able(feature) for feature in features)]

    def decorate(test: Test) -> Test:
        marked: Test = pytest.mark.feature(*features)(against(*routers)(test))
        return marked

    return decorate


def pairs_of(item: pytest.Item) -> list[Pair]:
    """What a collected test is a proof of."""
    callspec = getattr(item, "callspec", None)
    router = None if callspec is None else callspec.params.get("daemon")
    if not isinstance(router, str):
        return []
    return [(feature, router) for marker in item.iter_markers("feature") for feature in marker.args]


def expected() -> set[Pair]:
    """Every feature with every router that has it."""
    return {(feature, router) for feature in FEATURES for router in able(feature)}


def render(passed: Counter[Pair]) -> str:
    """The page: a row for each feature, a column for each router."""
    routers = list(VERSIONS)
    lines = [
        _NOTE,
        "# Interoperability",
        "",
        "Each feature of a session, proven on the wire with each router that has it.",
        "The tests run the routers themselves in network namespaces (`tests/interop`).",
        "A dash is a feature that the router lacks; why is said below.",
        "",
        "| Feature | " + " | ".join(VERSIONS[name] for name in routers) + " |",
        "|---|" + "---|" * len(routers),
    ]
    for feature, words in FEATURES.items():
        cells = [_cell(feature, router, passed[feature, router]) for router in routers]
        lines.append(f"| {feature} ({words}) | " + " | ".join(cells) + " |")
    for title, table in (("What is lacking", LACKS), ("What is particular", NOTES)):
        lines += ["", f"## {title}", "", "| Router | Feature | |", "|---|---|---|"]
        for router in routers:
            rows = table.get(router, {})
            lines += [f"| {VERSIONS[router]} | {name} | {rows[name]} |" for name in FEATURES if name in rows]
    return "\n".join(lines) + "\n"


def _cell(feature: str, router: str, passed: int) -> str:
    if router not in able(feature):
        return "-"
    return "passed" if passed else "**not proven**"


class Recorder:
    """A pytest plugin: gathers results where all workers report to, and settles the page at the end."""

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._passed: Counter[Pair] = Counter()
        self._failed = False
        self._problem = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Lets each test carry what it proves to the process that reports."""
        for item in items:
            item.user_properties += [(_PROPERTY, pair) for pair in pairs_of(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts what passed."""
        if report.when != "call":
            return
        # A pair comes from a worker as a list.
        values = [value for name, value in report.user_properties if name == _PROPERTY]
        pairs = [(str(each[0]), str(each[1])) for each in values if isinstance(each, tuple | list)]
        if report.passed:
            self._passed.update(pairs)
        elif pairs:
            self._failed = True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Writes or compares the page, if every pair was proven."""
        if hasattr(session.config, "workerinput"):
            return
        if self._write:
            PAGE.write_text(render(self._passed))
        elif (
            not self._failed and set(self._passed) >= expected() and PAGE.read_text() != render(self._passed)
        ):
            self._problem = f"{PAGE.name} does not say what this run has seen: run `make interop`"
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says what is wrong with the page."""
        if self._problem:
            terminalreporter.section("interoperability")
            terminalreporter.write_line(self._problem)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that `make interop` gives."""
    parser.addoption(OPTION, action="store_true", help=f"write {PAGE.name} from what passed")


def pytest_configure(config: pytest.Config) -> None:
    """Begins to gather."""
    config.pluginmanager.register(Recorder(write=config.getoption(OPTION)), "interoperability")
