"""Files that change: by writing, by replacing, by the links that Kubernetes swaps."""

from pathlib import Path

import pytest

from speaker.daemon.watched_files import WatchedFiles


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_text("first")
    return made


def replace(file: Path, text: str) -> None:
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(file)


def test_what_does_not_change_has_not_changed(file: Path) -> None:
    files = WatchedFiles([str(file)])
    assert [files.have_changed() for _ in range(3)] == [False] * 3


def test_a_change_is_told_once_when_it_has_come_to_rest(file: Path) -> None:
    files = WatchedFiles([str(file)])
    replace(file, "second")
    assert [files.have_changed() for _ in range(3)] == [False, True, False]


def test_a_file_that_is_being_written_is_left_alone(file: Path) -> None:
    files = WatchedFiles([str(file)])
    for length in range(1, 4):
        file.write_text("longer" * length)
        assert not files.have_changed()
    assert files.have_changed()


def test_a_file_that_comes_or_goes_has_changed(file: Path) -> None:
    files = WatchedFiles([str(file)])
    file.unlink()
    assert [files.have_changed() for _ in range(2)] == [False, True]
    file.write_text("first")
    assert [files.have_changed() for _ in range(2)] == [False, True]


def test_the_links_of_a_mounted_config_map_are_followed(tmp_path: Path) -> None:
    """Kubernetes makes a new folder and swaps the link ..data to it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("same size")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "file").symlink_to("..data/file")
    files = WatchedFiles([str(tmp_path / "file")])
    (tmp_path / "..data_tmp").symlink_to("two")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert [files.have_changed() for _ in range(2)] == [False, True]


def test_other_files_are_watched_from_now_on(file: Path, tmp_path: Path) -> None:
    files = WatchedFiles([str(file)])
    other = tmp_path / "other"
    other.write_text("first")
    files.watch([str(other)])
    replace(file, "second")
    assert [files.have_changed() for _ in range(2)] == [False, False]
    replace(other, "second")
    assert [files.have_changed() for _ in range(2)] == [False, True]
