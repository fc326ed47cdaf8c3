"""The page about the router's side shows what the program prints."""

import sys
from pathlib import Path

from tests.docs.pages import DOCS, Page
from tests.docs.test_examples import run


def test_the_text_on_the_page_is_what_the_program_prints(tmp_path: Path) -> None:
    blocks = Page(DOCS / "how-to" / "render-the-routers-side.md").blocks
    (manifests,) = (content for language, content in blocks if language == "yaml")
    (command,) = (content for language, content in blocks if "-f manifests.yaml" in content)
    (expected,) = (content for language, content in blocks if language == "frr")
    (tmp_path / "manifests.yaml").write_text(manifests, encoding="utf-8")
    result = run(sys.executable, "-m", "speaker", *command.split()[1:], folder=tmp_path)

    assert (0, "", expected) == (result.returncode, result.stderr, result.stdout)
