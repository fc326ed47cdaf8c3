"""When the garbage collector is spared what."""

import gc
from collections.abc import Iterator

import pytest

from speaker.daemon.collector import CollectorRelief

MANY = 30_000


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    gc.collect()
    yield
    gc.enable()
    gc.unfreeze()


def test_what_is_kept_is_spared_once_there_is_enough_of_it() -> None:
    relief, before = CollectorRelief(100), gc.get_freeze_count()
    kept = lists(MANY)
    relief.count(99)
    assert gc.get_freeze_count() == before
    relief.count(1)
    assert gc.get_freeze_count() >= before + len(kept)


def test_counting_begins_anew_after_that() -> None:
    relief = CollectorRelief(100)
    relief.count(150)
    gc.unfreeze()
    relief.count(60)
    assert not gc.get_freeze_count()


def lists(number: int) -> list[list[int]]:
    """Objects that the collector looks at."""
    return [[] for _ in range(number)]


class Ring:
    """One that refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_is_garbage_already_is_not_kept_with_the_rest() -> None:
    lost = [Ring() for _ in range(10)]
    lost.clear()
    CollectorRelief(1).spare()
    gc.unfreeze()
    assert not any(isinstance(each, Ring) for each in gc.get_objects())


def test_the_collector_waits_while_much_is_decided_and_is_on_again_after_it() -> None:
    with CollectorRelief(1).paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_much_that_was_made_meanwhile_is_spared_unseen() -> None:
    before = gc.get_freeze_count()
    with CollectorRelief(1).paused():
        kept = lists(MANY)
    assert gc.get_freeze_count() >= before + len(kept)


def test_a_little_that_was_made_meanwhile_is_left_to_the_collector() -> None:
    before = gc.get_freeze_count()
    with CollectorRelief(1).paused():
        kept = lists(10)
    assert gc.get_freeze_count() == before
    assert kept


def test_during_a_pause_counting_spares_nothing() -> None:
    relief, before = CollectorRelief(1), gc.get_freeze_count()
    with relief.paused():
        relief.count(5)
        assert gc.get_freeze_count() == before
    relief.count(1)
    assert gc.get_freeze_count() > before
