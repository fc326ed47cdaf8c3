"""What the pages write as code is true: flags, commands, files, annotations, reasons, metrics, manifests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from annotations.keys import DEFAULT_PREFIX, keys_under
from speaker.cli.program import COMMANDS
from speaker.metrics import METRICS
from speaker.model.publication import ExclusionReason
from speaker.settings import FLAGS
from speaker.settings.advertise_flags import ADVERTISE_FLAGS
from speaker.settings.peer_file import read_peer_file
from tests.docs.pages import DOCS, ROOT, Page, pages

EVERY_PAGE = [pytest.param(page, id=str(page)) for page in pages()]

OF_OTHER_COMMANDS = frozenset(
    {
        "help",
        "version",
        "filename",
        "output",
        "check",
        "kube-backend",
        "config",
        "peer",
        "timeout",
        "test-prefix",
        "disruptive",
        # fabric and render-router
        *("node", "router", "format", "as", "range", "accept", "sessions-only", "output-file", "watch"),
    }
)
OF_OTHER_PROGRAMS = frozenset(
    {
        # kubectl
        *("all", "field-selector", "for", "from-file", "namespace", "overwrite", "patch", "previous"),
        *("raw", "selector"),
        *("server", "tail", "timeout", "type", "rm", "restart", "image", "ignore-not-found"),
        # docker and pip
        *("tag", "build-arg", "group"),
        # frr-reload.py
        *("reload",),
    }
)
"""Flags of other programs that the pages show."""

FOLDERS = ("annotations/", "docs/", "manifests/", "speaker/", "tests/")

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*[a-z0-9])")
_METRIC = re.compile(r"\b(?:route_speaker|kube_ovn_speaker)_\w+")
_KEY = re.compile(rf"{re.escape(DEFAULT_PREFIX)}/bgp(?:-\w[\w-]*)?")
_MAKE = re.compile(r"(?:^|\s)make ([a-z]+)\b", re.MULTILINE)
_SPEAKER = re.compile(r"(?:^|\s)speaker ([a-z]+(?:-[a-z]+)*)\b", re.MULTILINE)


def code_of(page: Page) -> str:
    """All code of a page, in blocks and in lines."""
    return "\n".join((*page.code, *(content for _, content in page.blocks)))


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_flag_exists(page: Page) -> None:
    known = {flag.name for flag in (*FLAGS, *ADVERTISE_FLAGS)} | OF_OTHER_COMMANDS | OF_OTHER_PROGRAMS

    assert [] == sorted(set(_FLAG.findall(code_of(page))) - known)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_command_of_the_speaker_exists(page: Page) -> None:
    named = {name for code in page.code for name in _SPEAKER.findall(code)}
    named |= {name for language, text in page.blocks if language == "sh" for name in _SPEAKER.findall(text)}

    assert [] == sorted(named - COMMANDS.keys())


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_make_target_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert [] == sorted(set(_MAKE.findall(code_of(page))) - targets)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_file_that_is_named_exists(page: Page) -> None:
    """A path in backticks that begins with one of our folders is there; `*` may stand for names."""
    missing = [
        code
        for code in page.code
        if code.startswith(FOLDERS) and " " not in code and not _matches(code.partition("#")[0])
    ]

    assert [] == missing


def _matches(pattern: str) -> bool:
    return any(ROOT.glob(pattern.rstrip("/")))


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_annotation_key_exists(page: Page) -> None:
    assert [] == sorted(set(_KEY.findall(page.text)) - keys_under(DEFAULT_PREFIX).known)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_metric_exists(page: Page) -> None:
    known = {metric.name for metric in METRICS}
    suffixes = ("_bucket", "_count", "_sum")
    named = set(_METRIC.findall(code_of(page)))

    assert [] == sorted(name for name in named if name not in known and not name.endswith(suffixes))


def test_every_reason_of_the_troubleshooting_page_exists() -> None:
    """The table of what to do names each exclusion reason, and nothing else."""
    page = Page(DOCS / "how-to" / "find-out-why-a-route-is-missing.md")
    rows = re.findall(r"^\| `([A-Z]\w+)` \|", page.text, re.MULTILINE)

    assert sorted(reason.value for reason in ExclusionReason) == sorted(rows)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_manifest_is_yaml(page: Page) -> None:
    for language, content in page.blocks:
        if language == "yaml":
            assert list(yaml.safe_load_all(content))


def test_the_files_of_peers_on_the_page_are_taken() -> None:
    """Every YAML on the page about a control plane's address is a file of peers."""
    page = Page(DOCS / "how-to" / "advertise-a-control-plane-vip.md")
    documents = [yaml.safe_load(content) for language, content in page.blocks if language == "yaml"]

    assert [read_peer_file(document, "page").notices for document in documents] == [()] * len(documents)


def test_the_plan_on_the_page_is_what_the_program_prints(tmp_path: Path) -> None:
    """The manifests, the command and the output on the page about commands belong together."""
    blocks = Page(DOCS / "reference" / "cli.md").blocks
    manifests = next(content for language, content in blocks if language == "yaml" and "kind:" in content)
    command = next(content for language, content in blocks if language == "sh" and "speaker plan" in content)
    expected = next(content for language, content in blocks if language == "text")
    (tmp_path / "manifests.yaml").write_text(manifests, encoding="utf-8")
    arguments = command.split()[1:]
    result = run(sys.executable, "-m", "speaker", *arguments, folder=tmp_path)

    assert (0, expected) == (result.returncode, result.stdout)


def snippet(language: str) -> str:
    """The one block of this language on the page about routers."""
    page = Page(DOCS / "how-to" / "peer-with-a-router.md")
    (content,) = (content for found, content in page.blocks if found == language)
    return content


@pytest.mark.bird
def test_bird_takes_the_configuration_on_the_page(tmp_path: Path) -> None:
    file = tmp_path / "bird.conf"
    file.write_text(snippet("bird"), encoding="utf-8")
    result = run("bird", "-p", "-c", str(file))

    assert (0, "") == (result.returncode, result.stderr)


@pytest.mark.frr
def test_frr_takes_the_configuration_on_the_page(tmp_path: Path) -> None:
    file = tmp_path / "bgpd.conf"
    file.write_text(snippet("frr"), encoding="utf-8")
    result = run("bgpd", "--dryrun", "--skip_runas", "--config_file", str(file))

    # It counts a line that it does not know as no failure, and only tells of it.
    assert 0 == result.returncode
    assert "config line" not in result.stderr


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command; FRR's daemons come first, since OpenBGPD has a `bgpd` as well."""
    path = os.pathsep.join(("/usr/lib/frr", os.environ.get("PATH", ""), "/usr/sbin"))
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, env=environment, cwd=folder
    )
