"""The project's Markdown pages: their headings, their links and their code, for the tests about them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of Markdown."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """The page as it is."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The page without its code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def blocks(self) -> tuple[tuple[str, str], ...]:
        """Its code blocks: language and content."""
        return tuple(_FENCE.findall(self.text))

    @property
    def code(self) -> tuple[str, ...]:
        """What stands between backticks in its prose."""
        return tuple(_CODE.findall(self.prose))

    @property
    def links(self) -> tuple[str, ...]:
        """Where its links lead, as written; those into the web are left out."""
        found: list[str] = _LINK.findall(_CODE.sub("", self.prose))
        return tuple(link for link in found if "://" not in link)

    @property
    def anchors(self) -> frozenset[str]:
        """The fragments that its headings answer to."""
        return frozenset(_anchor(heading) for heading in _HEADING.findall(self.prose))

    def target(self, link: str) -> tuple[Path, str]:
        """The file and the fragment that one of its links means."""
        path, _, fragment = link.partition("#")
        return (self.path.parent / path).resolve() if path else self.path, fragment


def _anchor(heading: str) -> str:
    """A heading's fragment, as the usual Markdown hosts make it."""
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


def pages() -> tuple[Page, ...]:
    """Every page: those beside the README, and those in docs/."""
    return tuple(Page(path) for path in (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))))


def reachable(start: Page) -> Iterator[Path]:
    """The pages that a reader comes to from `start`, following links."""
    seen: set[Path] = set()
    waiting = [start.path]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        yield path
        page = Page(path)
        waiting += [page.target(link)[0] for link in page.links]
