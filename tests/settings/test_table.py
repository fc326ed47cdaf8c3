"""The table of flags holds together."""

import pytest

from speaker.settings import FLAGS, Flag


@pytest.mark.parametrize(
    "flag", [flag for flag in FLAGS if flag.default is not None], ids=lambda flag: flag.name
)
def test_every_default_is_a_right_value(flag: Flag[object]) -> None:
    assert flag.default is not None
    assert flag.reader.read((flag.default,)) is not None


def test_no_two_flags_share_a_name() -> None:
    names = [flag.name.replace("_", "-") for flag in FLAGS]
    assert len(names) == len(set(names))


def test_every_help_is_a_sentence() -> None:
    assert [flag.name for flag in FLAGS if not flag.help.endswith(".")] == []
