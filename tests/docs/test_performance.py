"""The page on performance and its plots show the figures that are kept beside them."""

import json

from tests.bench import page
from tests.bench.registry import ROWS


def test_the_page_and_its_plots_are_made_from_the_figures() -> None:
    made = page.files()
    assert {file: file.read_text(encoding="utf-8") for file in made} == made


def test_every_row_is_on_it() -> None:
    kept = json.loads(page.FIGURES.read_text(encoding="utf-8"))
    assert {line["row"] for line in kept["lines"]} == set(ROWS)
