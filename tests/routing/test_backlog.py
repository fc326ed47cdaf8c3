"""A queue that is taken by the dozen."""

from hypothesis import given
from hypothesis import strategies as st

from speaker.routing.backlog import Backlog


def test_what_has_waited_longest_comes_first() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.add([3, 1])
    backlog.add([2])
    assert backlog.take(2) == [3, 1]
    assert backlog.take(2) == [2]
    assert backlog.take(2) == []


def test_nothing_waits_twice_for_the_same_turn() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.add([1, 2, 1])
    assert len(backlog) == 2
    assert backlog.take(9) == [1, 2]


def test_what_is_added_while_a_round_is_taken_comes_after_it() -> None:
    backlog: Backlog[int] = Backlog()
    backlog.add([1, 2])
    assert backlog.take(1) == [1]
    backlog.add([1, 3])
    assert [*backlog.take(9), *backlog.take(9)] == [2, 1, 3]


@given(st.lists(st.one_of(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 4))))
def test_it_takes_what_plain_lists_would_give(orders: list[list[int] | int]) -> None:
    """Numbers take so many; lists are added."""
    backlog: Backlog[int] = Backlog()
    fresh: list[int] = []
    under_way: list[int] = []
    for order in orders:
        if isinstance(order, int):
            if not under_way:
                under_way, fresh = fresh, []
            assert backlog.take(order) == under_way[:order]
            under_way = under_way[order:]
        else:
            backlog.add(order)
            fresh += [each for each in dict.fromkeys(order) if each not in fresh]
        assert len(backlog) == len(under_way) + len(fresh)
