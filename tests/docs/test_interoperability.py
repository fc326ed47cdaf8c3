"""The page on interoperability speaks of every feature and every router, and of nothing unproven."""

import re

import pytest

from tests.docs.pages import DOCS, Page
from tests.lab.routers.abilities import FEATURES, LACKS, NOTES, VERSIONS

PAGE = Page(DOCS / "reference" / "interoperability.md")


def rows(columns: int) -> list[list[str]]:
    """The cells of all rows of tables with so many columns, titles included."""
    lines = (line for line in PAGE.text.splitlines() if line.startswith("|") and not line.startswith("|---"))
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells for cells in found if len(cells) == columns]


def matrix() -> dict[str, dict[str, str]]:
    """By feature and router, what its cell says."""
    title, *features = rows(1 + len(VERSIONS))
    assert title[1:] == list(VERSIONS.values())
    return {cells[0].split()[0]: dict(zip(VERSIONS, cells[1:], strict=True)) for cells in features}


def test_every_feature_has_a_row_with_its_words() -> None:
    assert [cells[0] for cells in rows(1 + len(VERSIONS))[1:]] == [
        f"{feature} ({words})" for feature, words in FEATURES.items()
    ]


def test_everything_is_passed_or_lacking() -> None:
    assert {cell for cells in matrix().values() for cell in cells.values()} == {"passed", "-"}


def test_the_dashes_are_what_the_routers_lack() -> None:
    dashes = {(router, name) for name, cells in matrix().items() for router in cells if cells[router] == "-"}
    assert dashes == {(router, name) for router, lacks in LACKS.items() for name in lacks}


@pytest.mark.parametrize("router", VERSIONS)
def test_what_is_lacking_or_particular_is_said(router: str) -> None:
    said = {(name, text) for version, name, text in rows(3) if version == VERSIONS[router]}
    assert said == {*LACKS[router].items(), *NOTES[router].items()}


def test_it_says_that_a_run_has_made_it() -> None:
    assert re.match(r"<!-- Made by a run of tests/interop", PAGE.text)
