"""What is to be done about a prefix, from what is there and what is wanted."""

from ipaddress import ip_address, ip_network

import pytest

from speaker.kernel.owned import Act, Owned, owner
from speaker.kernel.routes import Entry, KernelRoute, Place
from speaker.model.fib import Hop

HERE = ip_network("10.244.1.0/24")
PLACE = Place(254, 1024, 203)
OURS = Entry(frozenset({Hop(3, ip_address("10.0.0.2"))}))
NEW = Entry(frozenset({Hop(3, ip_address("10.0.0.3"))}))


def present(
    entry: Entry | None = OURS, protocol: int = 203, metric: int = 1024, table: int = 254, tos: int = 0
) -> KernelRoute:
    return KernelRoute(prefix=HERE, table=table, metric=metric, protocol=protocol, tos=tos, entry=entry)


THEIRS = present(protocol=12)


def act(wanted: Entry | None, *there: KernelRoute, may_remove: bool = True) -> Act:
    owned = Owned(PLACE)
    for route in there:
        owned.take(route)
    return owned.act(HERE, wanted, may_remove=may_remove)


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        pytest.param(NEW, (), Act.ADD, id="nothing-there"),
        pytest.param(OURS, (present(),), Act.NOTHING, id="just-so"),
        pytest.param(NEW, (present(),), Act.REPLACE, id="another-of-ours"),
        pytest.param(OURS, (present(None),), Act.REPLACE, id="altered"),
        pytest.param(Entry(), (present(),), Act.REPLACE, id="a-blackhole-instead"),
        pytest.param(None, (present(),), Act.REMOVE, id="not-wanted"),
        pytest.param(None, (), Act.NOTHING, id="not-wanted-not-there"),
        pytest.param(NEW, (THEIRS,), Act.CONFLICT, id="theirs"),
        pytest.param(None, (THEIRS,), Act.NOTHING, id="theirs-not-wanted"),
        pytest.param(OURS, (THEIRS, present()), Act.NOTHING, id="theirs-beside-ours"),
        pytest.param(NEW, (present(), THEIRS), Act.REMOVE, id="theirs-beside-another-of-ours"),
        pytest.param(OURS, (present(), present(NEW)), Act.REMOVE, id="two-of-ours"),
        pytest.param(NEW, (present(protocol=12, metric=32),), Act.ADD, id="theirs-with-another-metric"),
        pytest.param(NEW, (present(protocol=12, table=7),), Act.ADD, id="theirs-in-another-table"),
        pytest.param(NEW, (present(protocol=12, tos=8),), Act.ADD, id="theirs-for-a-type-of-service"),
        pytest.param(NEW, (present(metric=7),), Act.ADD, id="ours-with-another-metric"),
    ],
)
def test_what_is_to_be_done(wanted: Entry | None, there: tuple[KernelRoute, ...], expected: Act) -> None:
    assert act(wanted, *there) is expected


def test_before_the_release_nothing_unwanted_goes() -> None:
    assert act(None, present(), may_remove=False) is Act.NOTHING


def test_before_the_release_what_is_wanted_otherwise_changes() -> None:
    assert act(NEW, present(), may_remove=False) is Act.REPLACE


def test_what_was_done_counts_as_read() -> None:
    owned = Owned(PLACE)
    owned.done(HERE, OURS)
    assert owned.act(HERE, OURS, may_remove=True) is Act.NOTHING
    owned.done(HERE, None)
    assert owned.act(HERE, OURS, may_remove=True) is Act.ADD


def test_ours_of_another_metric_are_strays_until_they_are_gone() -> None:
    owned = Owned(PLACE)
    owned.take(present(metric=7))
    owned.take(present(metric=7, protocol=12))
    assert owned.strays == {(HERE, 7)}
    owned.stray_gone((HERE, 7))
    assert owned.strays == frozenset()


def test_the_owner_is_named_as_ip_names_it() -> None:
    assert [owner(number) for number in (2, 12, 77)] == ["proto kernel", "proto bird", "proto 77"]
