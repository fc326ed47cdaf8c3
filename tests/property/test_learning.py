"""What holds of learned routes whatever happens: the decision, and the Loc-RIB after any history."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from speaker.model.fib import Resolution
from speaker.model.peer import SessionFacts
from speaker.model.policy import HostView
from speaker.model.prefix import Address, Prefix
from speaker.model.route import Paths, PrefixPath, Route
from speaker.routing.decision import Contender, Rule, decide
from speaker.routing.imports import ImportPolicy
from speaker.routing.loc_rib import LocRib
from tests.property import learning_strategies as strategies


@settings(deadline=None)
@given(paths=strategies.contenders(), data=st.data())
def test_the_order_of_arrival_decides_nothing(paths: list[Contender], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(paths))

    one, other = decide(paths), decide(shuffled)

    assert [paths[index] for index in one.order] == [shuffled[index] for index in other.order]
    assert (one.rules, one.next_hops) == (other.rules, other.next_hops)


@settings(deadline=None)
@given(paths=strategies.contenders())
def test_every_path_has_one_place_and_one_rule(paths: list[Contender]) -> None:
    found = decide(paths)

    assert sorted(found.order) == list(range(len(paths)))
    assert found.rules[0] is Rule.BEST
    assert found.rules.count(Rule.BEST) == 1
    chosen = [
        paths[index].route.next_hop
        for index, rule in zip(found.order, found.rules, strict=True)
        if rule in (Rule.BEST, Rule.MULTIPATH)
    ]
    assert sorted(map(str, chosen)) == sorted(map(str, found.next_hops))
    assert len(set(chosen)) == len(chosen)


@settings(deadline=None)
@given(paths=strategies.contenders(), data=st.data())
def test_a_path_that_is_not_the_best_leaves_the_best_as_it_is(
    paths: list[Contender], data: st.DataObject
) -> None:
    """Except where it kept others of its neighbouring AS out by its MED: so no MED here."""
    without_med = [
        replace(path, route=path.route._replace(attributes=replace(path.route.attributes, med=None)))
        for path in paths
    ]
    best = without_med[decide(without_med).order[0]]
    gone = data.draw(st.sampled_from(without_med))

    left = [path for path in without_med if path is best or path is not gone]

    assert left[decide(left).order[0]] is best


@settings(deadline=None)
@given(paths=strategies.contenders(), data=st.data())
def test_a_path_that_med_decided_against_leaves_all_others_as_they_are(
    paths: list[Contender], data: st.DataObject
) -> None:
    before = decide(paths)
    losers = [
        paths[index]
        for index, rule in zip(before.order, before.rules, strict=True)
        if rule is Rule.MULTI_EXIT_DISC
    ]
    if not losers:
        return
    gone = data.draw(st.sampled_from(losers))

    left = [path for path in paths if path is not gone]

    assert decide(left).next_hops == before.next_hops


class World:
    """The state that operations lead to, kept as plainly as possible, and a Loc-RIB computed from it."""

    def __init__(self) -> None:
        self.host = HostView()
        self.policy = ImportPolicy()
        self.facts: dict[str, SessionFacts] = {}
        self.routes: dict[str, dict[PrefixPath, Route]] = {}
        self.resolutions: dict[Address, Resolution] = {}

    def set_host(self, host: HostView) -> None:
        self.host = host
        self.facts = {name: each for name, each in self.facts.items() if name in host.peers}
        self.facts |= {name: view.facts for name, view in host.peers.items() if view.facts is not None}
        self.routes = {name: self.routes.get(name, {}) for name in host.peers}

    def received(self, peer: str, advertised: Iterable[Route], withdrawn: Iterable[PrefixPath]) -> None:
        if peer in self.routes:
            for path in withdrawn:
                self.routes[peer].pop(path, None)
            for route in advertised:
                self.routes[peer][PrefixPath(route.prefix, route.path_id)] = route

    def computed(self) -> LocRib:
        """The same from scratch."""
        rib = LocRib()
        known = {name: replace(view, facts=self.facts.get(name)) for name, view in self.host.peers.items()}
        rib.set_host(replace(self.host, peers=known))
        rib.set_host(self.host)
        rib.set_import(self.policy)
        rib.set_resolutions(self.resolutions)
        for name, routes in self.routes.items():
            rib.received(name, routes.values(), ())
        rib.recompute()
        return rib


class Listener:
    """The kernel and the peers, that keep what they have been told; a peer that is removed forgets."""

    def __init__(self) -> None:
        self.forwarding: dict[Prefix, tuple[Address, ...]] = {}
        self.heard: dict[str, dict[Prefix, Paths]] = {}

    def set_host(self, host: HostView) -> None:
        self.heard = {name: self.heard.get(name, {}) for name in host.peers}

    def listen(self, rib: LocRib, limit: int | None = None) -> None:
        complete = rib.is_complete
        for prefix, next_hops in rib.take_fib(limit).items():
            if next_hops is None:
                assert complete, "a removal before the recomputation was complete"
                del self.forwarding[prefix]
            else:
                assert next_hops, "no next hop is told as None"
                self.forwarding[prefix] = next_hops
        for name, told in rib.take_advertised(limit).items():
            for prefix, paths in told.items():
                if paths is None:
                    del self.heard[name][prefix]
                else:
                    self.heard[name][prefix] = paths


def without_identifiers(heard: Mapping[str, Mapping[Prefix, Paths]]) -> object:
    """What peers hear; which Path Identifier a path got depends on what was there before it."""
    return {
        name: {
            prefix: [path._replace(path_id=0) for path in each_path(paths)] for prefix, paths in of.items()
        }
        for name, of in heard.items()
    }


def each_path(paths: Paths) -> tuple[Route, ...]:
    found = (paths,) if isinstance(paths, Route) else paths
    assert len({path.path_id for path in found}) == len(found)
    assert len(found) == 1 or all(path.path_id > 1 for path in found)
    return found


@settings(deadline=None, max_examples=200)
@given(data=st.data(), operations=st.integers(1, 16))
def test_incremental_equals_full(data: st.DataObject, operations: int) -> None:
    """After any operations, in any slices, with changes taken at any moment."""
    world, rib, listener = World(), LocRib(), Listener()
    host = strategies.usual_host()
    for each in (world, rib, listener):
        each.set_host(host)
    world.policy, world.resolutions = strategies.usual_policy(), strategies.usual_world()
    rib.set_import(world.policy)
    rib.set_resolutions(world.resolutions)
    for _ in range(operations):
        match data.draw(st.sampled_from(("hear", "hear", "host", "host", "import", "resolve", "forget"))):
            case "hear":
                peer = f"n{data.draw(st.sampled_from(strategies.NUMBERS))}"
                advertised = data.draw(st.lists(strategies.routes, min_size=1, max_size=5))
                withdrawn = data.draw(st.lists(strategies.withdrawals, max_size=2))
                world.received(peer, advertised, withdrawn)
                rib.received(peer, advertised, withdrawn)
            case "host":
                near = strategies.neighbouring_hosts(host)
                host = data.draw(st.one_of(near, near, near, strategies.hosts()))
                for each in (world, rib, listener):
                    each.set_host(host)
            case "import":
                world.policy = data.draw(strategies.policies)
                rib.set_import(world.policy)
            case "resolve":
                world.resolutions |= data.draw(strategies.worlds)
                rib.set_resolutions(world.resolutions)
            case _:
                rib.recompute()
                rib.forget_unused_next_hops()
        if data.draw(st.booleans()):
            rib.recompute(data.draw(st.sampled_from((None, 0, 1, 3))))
            listener.listen(rib, data.draw(st.sampled_from((None, 0, 1, 3))))
    settle(rib, world.resolutions)
    listener.listen(rib)

    fresh, expected = world.computed(), Listener()
    expected.set_host(world.host)
    expected.listen(fresh)

    assert listener.forwarding == expected.forwarding
    assert without_identifiers(listener.heard) == without_identifiers(expected.heard)
    assert rib.prefixes == fresh.prefixes
    assert rib.counts == fresh.counts
    assert rib.next_hops == fresh.next_hops
    for prefix in rib.prefixes:
        assert rib.paths(prefix) == fresh.paths(prefix)
    for name in world.host.peers:
        assert rib.lost_without(frozenset({name})) == fresh.lost_without(frozenset({name}))
    assert not rib.has_changes


def settle(rib: LocRib, resolutions: Mapping[Address, Resolution]) -> None:
    """Resolve what is asked for, as the kernel would, until nothing is left to do."""
    rib.recompute()
    rib.set_resolutions({each: resolutions[each] for each in rib.next_hops if each in resolutions})
    rib.recompute()
