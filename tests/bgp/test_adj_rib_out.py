"""The Adj-RIB-Out: the last writer wins, whatever is in flight."""

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Route
from tests.bgp.builders import host_routes, prefix, route, routes

EVERYTHING = 10_000


def established(rib: AdjRibOut) -> AdjRibOut:
    rib.begin(lambda _route: True)
    return rib


def filled(desired: dict[Prefix, Route]) -> AdjRibOut:
    rib = AdjRibOut()
    rib.update(desired)
    return rib


def flush(rib: AdjRibOut, limit: int = EVERYTHING) -> list[Changes]:
    written = []
    while rib.has_work:
        written.append(rib.take(limit))
        rib.commit(written[-1])
    return written


def test_announce_withdraw_announce_within_one_turn_leaves_the_route() -> None:
    rib = established(AdjRibOut())
    flush(rib)

    rib.update(routes("10.0.0.0/24", med=1))
    rib.update({prefix("10.0.0.0/24"): None})
    rib.update(routes("10.0.0.0/24", med=2))
    [changes] = flush(rib)

    assert (route("10.0.0.0/24", med=2),) == changes.advertised
    assert not changes.withdrawn


def test_one_routes_withdrawal_and_anothers_announcement_share_a_turn() -> None:
    rib = established(filled(routes("10.0.0.0/24")))
    flush(rib)

    rib.update({prefix("10.0.0.0/24"): None, **routes("10.0.1.0/24")})
    [changes] = flush(rib)

    assert [prefix("10.0.0.0/24")] == [gone.prefix for gone in changes.withdrawn]
    assert (route("10.0.1.0/24"),) == changes.advertised


def test_there_and_back_while_the_first_is_in_flight_is_sent_twice() -> None:
    rib = established(AdjRibOut())
    first, second = route("10.0.0.0/24", "192.0.2.1"), route("10.0.0.0/24", "192.0.2.2")
    rib.update({first.prefix: first})
    flush(rib)

    rib.update({first.prefix: second})
    in_flight = rib.take(EVERYTHING)
    rib.update({first.prefix: first})
    rib.commit(in_flight)
    [changes] = flush(rib)

    assert (first,) == changes.advertised
    assert {first.prefix: first} == rib.sent


def test_there_and_back_before_anything_is_written_sends_nothing() -> None:
    rib = established(filled(routes("10.0.0.0/24")))
    flush(rib)

    rib.update(routes("10.0.0.0/24", med=5))
    rib.update(routes("10.0.0.0/24"))

    assert [Changes()] == flush(rib)


def test_a_route_that_was_never_sent_is_not_withdrawn() -> None:
    rib = established(AdjRibOut())
    flush(rib)

    rib.update(routes("10.0.0.0/24"))
    rib.update({prefix("10.0.0.0/24"): None})

    assert [Changes()] == flush(rib)


def test_what_the_transport_did_not_take_does_not_count_as_sent() -> None:
    rib = established(filled(routes("10.0.0.0/24")))

    rib.take(EVERYTHING)

    assert not rib.sent


def test_a_new_session_starts_at_nothing_sent() -> None:
    rib = established(filled(routes("10.0.0.0/24")))
    flush(rib)
    rib.end()

    assert not rib.sent
    assert not rib.has_work
    [changes] = flush(established(rib))
    assert (route("10.0.0.0/24"),) == changes.advertised


def test_a_route_that_the_session_cannot_carry_is_withdrawn_if_it_was_carried() -> None:
    rib = filled(routes("10.0.0.0/24"))
    rib.begin(lambda candidate: candidate.next_hop.version == 4)
    flush(rib)

    rib.update({prefix("10.0.0.0/24"): route("10.0.0.0/24", "2001:db8::1")})
    [changes] = flush(rib)

    assert [prefix("10.0.0.0/24")] == [gone.prefix for gone in changes.withdrawn]
    assert not rib.sent


def test_a_refresh_sends_the_family_again_and_nothing_else() -> None:
    rib = established(filled(routes("10.0.0.0/24", "2001:db8::/48")))
    flush(rib)

    rib.refresh(Family.IPV6)
    [changes] = flush(rib)

    assert (route("2001:db8::/48"),) == changes.advertised


def test_a_route_withdrawn_after_a_refresh_is_still_withdrawn() -> None:
    rib = established(filled(routes("10.0.0.0/24")))
    flush(rib)

    rib.refresh(Family.IPV4)
    rib.update({prefix("10.0.0.0/24"): None})
    [changes] = flush(rib)

    assert [prefix("10.0.0.0/24")] == [gone.prefix for gone in changes.withdrawn]


def test_the_first_advertisement_ends_though_changes_keep_coming() -> None:
    rib = established(filled(host_routes(30)))
    ends = []
    for turn in range(10):
        changes = rib.take(10)
        rib.commit(changes)
        ends.append(changes.initial_done)
        rib.update(routes(f"172.16.{turn}.0/24"))

    assert [False, False, True] == ends[:3]
    assert sum(ends) == 1


def test_the_first_advertisement_of_nothing_ends_as_well() -> None:
    rib = established(AdjRibOut())

    assert rib.has_work
    assert rib.take(10).initial_done
    assert not rib.has_work


def test_counts_follow_what_is_sent() -> None:
    rib = established(filled(routes("10.0.0.0/24", "10.0.1.0/24", "2001:db8::/48")))
    flush(rib)
    rib.update({prefix("10.0.0.0/24"): None, **routes("10.0.1.0/24", med=1)})
    flush(rib)

    assert ((Family.IPV4, 1), (Family.IPV6, 1)) == rib.counts


@given(st.lists(st.dictionaries(st.integers(0, 5), st.none() | st.integers(0, 2))), st.integers(1, 3))
def test_the_peer_ends_with_what_is_desired(updates: list[dict[int, int | None]], limit: int) -> None:
    rib = established(AdjRibOut())
    heard: dict[Prefix, Route] = {}
    for update in updates:
        rib.update({net(key): None if med is None else at(key, med) for key, med in update.items()})
        hear(heard, taken := rib.take(limit))
        rib.commit(taken)
    for changes in flush(rib, limit):
        hear(heard, changes)

    assert rib.desired == heard == rib.sent


def net(number: int) -> Prefix:
    return IPv4Network((number << 8, 24))


def at(number: int, med: int) -> Route:
    return Route(net(number), route("10.0.0.0/24").next_hop, route("10.0.0.0/24", med=med).attributes)


def hear(heard: dict[Prefix, Route], changes: Changes) -> None:
    """A peer that refuses what a router would find senseless."""
    for gone in changes.withdrawn:
        assert gone.prefix in heard, "withdrawn without having been sent"
        del heard[gone.prefix]
    for new in changes.advertised:
        heard[new.prefix] = new


class Sessions(RuleBasedStateMachine):
    """Updates, flushes in any order of taking and committing, and sessions that end in between."""

    def __init__(self) -> None:
        super().__init__()
        self.rib = AdjRibOut()
        self.wanted: dict[Prefix, Route] = {}
        self.heard: dict[Prefix, Route] = {}
        self.in_flight: Changes | None = None
        self.up = False

    @initialize()
    def nothing_yet(self) -> None:
        assert not self.rib.has_work

    @rule(number=st.integers(0, 4), med=st.none() | st.integers(0, 2))
    def update(self, number: int, med: int | None) -> None:
        change = None if med is None else at(number, med)
        self.rib.update({net(number): change})
        if change is None:
            self.wanted.pop(net(number), None)
        else:
            self.wanted[net(number)] = change

    @rule()
    def establish(self) -> None:
        self.rib.begin(lambda _route: True)
        self.heard, self.in_flight, self.up = {}, None, True

    @rule()
    def lose(self) -> None:
        self.rib.end()
        self.heard, self.in_flight, self.up = {}, None, False

    @precondition(lambda self: self.up and self.in_flight is None)
    @rule(limit=st.integers(1, 3))
    def take(self, limit: int) -> None:
        self.in_flight = self.rib.take(limit)

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def taken(self) -> None:
        assert self.in_flight is not None
        hear(self.heard, self.in_flight)
        self.rib.commit(self.in_flight)
        self.in_flight = None

    @rule()
    def refresh(self) -> None:
        self.rib.refresh(Family.IPV4)

    @invariant()
    def sent_is_what_was_taken(self) -> None:
        assert self.heard == self.rib.sent

    @invariant()
    def nothing_left_means_all_is_told(self) -> None:
        if self.up and self.in_flight is None and not self.rib.has_work:
            assert self.wanted == self.heard


TestSessions = Sessions.TestCase
