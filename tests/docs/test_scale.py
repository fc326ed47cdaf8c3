"""The page on fabrics says what the figures beside it say."""

from tests.docs.pages import DOCS
from tests.lab.scale.page import render
from tests.lab.scale.rows import load

PAGE = DOCS / "explanation" / "choosing-a-fabric.md"


def test_the_page_is_made_of_the_figures_beside_it() -> None:
    """`python -m tests.lab.scale --page-only` writes it."""
    assert PAGE.read_text(encoding="utf-8") == render(load())


def test_every_row_has_been_measured() -> None:
    assert load().missing == ()
