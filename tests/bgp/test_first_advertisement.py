"""A first advertisement that walks through the table against the plain way, on which every prefix waits."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from speaker.bgp.adj_rib_out import AdjRibOut, Changes
from speaker.model.prefix import Family, Prefix, family_of
from speaker.model.route import Paths, Route, each_path
from tests.bgp.builders import host_routes, path, routes
from tests.bgp.listening_router import ListeningRouter

MEDS = st.integers(0, 1)
HOPS = st.sampled_from(("192.0.2.1", "192.0.2.2", "2001:db8::1"))


def carries(route: Route) -> bool:
    """A session without IPv4 over IPv6, that has no room for some attributes."""
    return route.next_hop.version == route.prefix.version and route.attributes.med != 1


def net(number: int) -> Prefix:
    return IPv4Network(0x0A000000 + number) if number < 6 else IPv6Network((number << 80, 48))


@st.composite
def some_paths(draw: st.DrawFn, number: int) -> Paths:
    """One route, or several paths, to a prefix."""
    identifiers = draw(st.just([0]) | st.lists(st.integers(1, 3), min_size=1, unique=True))
    made = tuple(path(str(net(number)), each, draw(HOPS), med=draw(MEDS)) for each in identifiers)
    return made[0] if len(made) == 1 and draw(st.booleans()) else made


@st.composite
def updates(draw: st.DrawFn) -> dict[Prefix, Paths | None]:
    numbers = draw(st.sets(st.integers(0, 7), min_size=1))
    return {net(number): draw(st.none() | some_paths(number)) for number in sorted(numbers)}


class BothWays(RuleBasedStateMachine):
    """Two tables with the same changes and sessions; one is disturbed as soon as it walks."""

    def __init__(self) -> None:
        super().__init__()
        self.walking, self.plain = AdjRibOut(), AdjRibOut()
        self.both = (self.walking, self.plain)
        self.in_flight: Changes | None = None
        self.wanted: dict[Prefix, Paths] = {}
        self.begun = False
        self.establish(set())

    @rule(add_path=st.sets(st.sampled_from(Family)))
    def establish(self, add_path: set[Family]) -> None:
        self.in_flight, self.begun = None, False
        self.add_path = frozenset(add_path)
        self.router = ListeningRouter(self.add_path)
        for rib in self.both:
            rib.end()
            rib.begin(carries, self.add_path)

    @rule(changes=updates())
    def update(self, changes: dict[Prefix, Paths | None]) -> None:
        for rib in self.both:
            rib.update(changes)
        self.wanted = {
            prefix: paths for prefix, paths in (self.wanted | changes).items() if paths is not None
        }

    @rule(family=st.sampled_from(Family))
    def refresh(self, family: Family) -> None:
        for rib in self.both:
            rib.refresh(family)

    @rule(med=MEDS)
    def repeat(self, med: int) -> None:
        for rib in self.both:
            rib.repeat(lambda route: route.attributes.med == med)

    @precondition(lambda self: self.in_flight is None)
    @rule(limit=st.integers(1, 4))
    def take(self, limit: int) -> None:
        if not self.begun and self.wanted:
            assert self.plain.take(0) == Changes()
            self.plain.update({})
        self.begun = True
        self.in_flight = self.walking.take(limit)
        assert self.plain.take(limit) == self.in_flight

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def commit(self) -> None:
        assert self.in_flight is not None
        self.router.hear(self.in_flight)
        for rib in self.both:
            rib.commit(self.in_flight)
        self.in_flight = None

    @invariant()
    def both_tell_the_same(self) -> None:
        walking, plain = self.walking, self.plain
        assert self.wanted == walking.desired == plain.desired
        assert walking.sent == plain.sent
        assert walking.counts == plain.counts
        assert walking.pending == plain.pending
        assert walking.has_work == plain.has_work

    @invariant()
    def what_was_sent_is_what_the_router_holds(self) -> None:
        sent = {
            key: each for paths in self.walking.sent.values() for key, each in self.keyed(each_path(paths))
        }
        assert sent.keys() == self.router.paths.keys()
        assert len(sent) == sum(number for _, number in self.walking.counts)
        # Identifiers are the router's to forget where none are sent.
        assert [(each.next_hop, each.attributes) for each in sent.values()] == [
            (self.router.paths[key].next_hop, self.router.paths[key].attributes) for key in sent
        ]

    @invariant()
    def nothing_left_means_the_router_holds_what_is_desired(self) -> None:
        if self.in_flight is not None or self.walking.has_work:
            return
        expected: dict[tuple[Prefix, int], Route] = {}
        for prefix, paths in self.wanted.items():
            carried = tuple(filter(carries, each_path(paths)))
            several = family_of(prefix) in self.add_path
            expected.update(self.keyed(carried if several else carried[:1]))
        assert expected.keys() == self.router.paths.keys()
        assert all(self.router.paths[key].attributes == each.attributes for key, each in expected.items())

    def keyed(self, paths: tuple[Route, ...]) -> Iterator[tuple[tuple[Prefix, int], Route]]:
        return ((self.router.key(each.prefix, each.path_id), each) for each in paths)


TestBothWays = BothWays.TestCase
TestBothWays.settings = settings(TestBothWays.settings, max_examples=200, stateful_step_count=30)


def walking_halfway() -> AdjRibOut:
    rib = AdjRibOut()
    rib.update(host_routes(30))
    rib.begin(lambda _route: True)
    rib.commit(rib.take(15))
    return rib


def rest(rib: AdjRibOut) -> list[Changes]:
    written = []
    while rib.has_work:
        written.append(rib.take(10))
        rib.commit(written[-1])
    return written


def disturbances() -> dict[str, Callable[[AdjRibOut], None]]:
    table = list(host_routes(30).values())
    return {
        "a new prefix": lambda rib: rib.update(routes("172.16.0.0/24")),
        "a prefix that was sent": lambda rib: rib.update({table[0].prefix: None}),
        "a prefix that was not": lambda rib: rib.update({table[29].prefix: None}),
        "a repetition": lambda rib: rib.repeat(lambda _route: True),
    }


def test_a_change_on_the_way_does_not_put_the_end_off() -> None:
    for name, disturb in disturbances().items():
        rib = walking_halfway()
        disturb(rib)

        assert [False, True] == [changes.initial_done for changes in rest(rib)[:2]], name
        assert rib.sent == rib.desired, name


def test_what_was_not_come_to_is_said_once_and_as_it_is_then() -> None:
    rib = walking_halfway()
    changed = routes("10.0.0.29/32", med=7)
    rib.update(changed)

    said = [route for changes in rest(rib) for route in changes.advertised]

    assert [*list(host_routes(29).values())[15:], *changed.values()] == said


def test_what_waits_of_the_walk_is_pending_and_without_a_session_nothing_is() -> None:
    rib = walking_halfway()

    assert rib.pending == 15
    rib.end()
    assert rib.pending == 0
    rib.begin(lambda _route: True)
    assert rib.pending == 30
