"""Every link leads somewhere, and every page is found from the index."""

import pytest

from tests.docs.pages import DOCS, INDEX, ROOT, Page, pages, reachable

EVERY_PAGE = [pytest.param(page, id=str(page)) for page in pages()]


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_relative_link_leads_to_a_file(page: Page) -> None:
    """A page names only files that are in the tree, and never one outside of it."""
    broken = []
    for link in page.links:
        path, _ = page.target(link)
        if not (path.exists() and path.is_relative_to(ROOT)):
            broken.append(link)

    assert [] == broken


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_fragment_names_a_heading(page: Page) -> None:
    """A link into the middle of a page names a heading that is there."""
    broken = []
    for link in page.links:
        path, fragment = page.target(link)
        if fragment and path.suffix == ".md" and fragment not in Page(path).anchors:
            broken.append(link)

    assert [] == broken


def test_every_page_in_docs_is_reachable_from_the_index() -> None:
    """A reader who starts at docs/index.md can come to every page."""
    found = set(reachable(Page(INDEX)))

    assert [] == sorted(str(path) for path in set(DOCS.rglob("*.md")) - found)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_page_has_one_title(page: Page) -> None:
    """The first heading is the title, and the only one of its rank."""
    titles = [line for line in page.prose.splitlines() if line.startswith("# ")]

    assert len(titles) == 1
