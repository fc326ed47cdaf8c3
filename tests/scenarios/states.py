"""Sequences of cluster states with the router's table in each, and their expansions.

A state holds the whole cluster and what the router then knows: for each prefix the nodes that
advertise it. A sequence is walked by the speakers of both nodes. Every sequence is expanded: walked
backwards, squashed, split, with empty clusters in between, with every change repeated and reordered.
The expected table belongs to the state and not to the way there, so all of them must agree.

A blind spot is known: a sequence that is its own reverse gains nothing from being walked backwards.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from speaker.model.objects import Change, ObjectRef, View
from speaker.model.policy import HostView
from speaker.model.prefix import Prefix
from speaker.model.route import Route
from speaker.routing.reconcile import Reconciler, reconcile
from tests.builders import facts, host, peer, peer_view, policy

HOPS = {"node-1": ("192.0.2.1", "2001:db8::1"), "node-2": ("192.0.2.2", "2001:db8::2")}
Table = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class State:
    """One state of the cluster; `table` is None where only the way matters."""

    name: str
    views: Mapping[ObjectRef, View] = field(default_factory=dict)
    table: Table | None = None

    def then(self, name: str, *views: View, without: tuple[ObjectRef, ...] = ()) -> "State":
        """The state in which these views have come or changed and those are gone; its table is open."""
        kept = {ref: view for ref, view in self.views.items() if ref not in without}
        return State(name, kept | {view.meta.ref: view for view in views})


EMPTY = State("empty", {}, {})
Sequence = tuple[State, ...]


def expecting(state: State, table: Mapping[str, str]) -> State:
    """The state with its table: each prefix and the nodes ("1", "2" or "12") that advertise it."""
    return replace(
        state, table={prefix: frozenset(f"node-{n}" for n in nodes) for prefix, nodes in table.items()}
    )


def changes_between(before: State, after: State) -> list[Change]:
    """What the API server tells on the way from one state to the next."""
    gone = [Change(ref, None) for ref in before.views if ref not in after.views]
    come = [Change(ref, view) for ref, view in after.views.items() if before.views.get(ref) != view]
    return gone + come


def as_written(sequence: Sequence) -> Sequence:
    return sequence


def backwards(sequence: Sequence) -> Sequence:
    return tuple(reversed(sequence))


def squashed(sequence: Sequence) -> Sequence:
    """Straight to every second state, and to the last."""
    return tuple(state for n, state in enumerate(sequence) if n % 2 or n == len(sequence) - 1)


def at_once(sequence: Sequence) -> Sequence:
    return sequence[-1:]


def emptied(sequence: Sequence) -> Sequence:
    return tuple(each for state in sequence for each in (EMPTY, state))


def split(sequence: Sequence) -> Sequence:
    """One object a step; the tables on the way are open."""

    def steps() -> Iterator[State]:
        before = EMPTY
        for state in sequence:
            for change in changes_between(before, state):
                views = dict(before.views)
                views.pop(change.ref, None)
                if change.view is not None:
                    views[change.ref] = change.view
                before = State(f"toward {state.name}", views)
                yield before
            before = state
            yield state

    return tuple(steps())


def back_and_forth(sequence: Sequence) -> Sequence:
    """Every step is taken, taken back and taken again."""
    pairs = zip((EMPTY, *sequence), sequence, strict=False)
    return tuple(each for before, after in pairs for each in (after, before, after))


EXPANSIONS: tuple[Callable[[Sequence], Sequence], ...] = (
    as_written,
    backwards,
    squashed,
    at_once,
    emptied,
    split,
    back_and_forth,
)


def one_by_one(changes: list[Change]) -> Iterator[list[Change]]:
    return ([change] for change in changes)


def together(changes: list[Change]) -> Iterator[list[Change]]:
    return iter([changes])


def reordered(changes: list[Change]) -> Iterator[list[Change]]:
    return iter([changes[::-1]])


def duplicated(changes: list[Change]) -> Iterator[list[Change]]:
    return iter([[each for change in changes for each in (change, change)], changes])


DELIVERIES: tuple[Callable[[list[Change]], Iterator[list[Change]]], ...] = (
    one_by_one,
    together,
    reordered,
    duplicated,
)


class Router:
    """What one router has heard of the speakers of both nodes."""

    def __init__(self, **flags: Any) -> None:
        self._flags = flags
        self._speakers = {node: Reconciler(policy(node_name=node, **flags), host_of(node)) for node in HOPS}
        self._heard: dict[str, dict[Prefix, Route]] = {node: {} for node in HOPS}

    def deliver(self, changes: list[Change]) -> None:
        """Both speakers see the changes; the router hears what they send."""
        for node, speaker in self._speakers.items():
            speaker.apply(changes)
            speaker.recompute()
            for prefix, route in speaker.take_changes().get("tor", {}).items():
                if route is None:
                    assert prefix in self._heard[node], f"{node} withdraws {prefix}, which it never sent"
                    del self._heard[node][prefix]
                else:
                    assert self._heard[node].get(prefix) != route, f"{node} repeats {prefix}"
                    self._heard[node][prefix] = route

    def table(self) -> Table:
        """For each prefix, the nodes whose next hop the router has."""
        found: dict[str, frozenset[str]] = {}
        for node, heard in self._heard.items():
            for prefix, route in heard.items():
                assert str(route.next_hop) in HOPS[node]
                found[str(prefix)] = found.get(str(prefix), frozenset()) | {node}
        return found

    def check_against_scratch(self, state: State) -> None:
        """Every speaker must have come to what it would decide from nothing."""
        for node, speaker in self._speakers.items():
            views = state.views.values()
            expected = reconcile(policy(node_name=node, **self._flags), host_of(node), views)
            assert speaker.outcomes() == expected.outcomes
            assert self._heard[node] == expected.adj_ribs_out["tor"]


def host_of(node: str) -> HostView:
    """A node with one router, and an address of each family."""
    v4, v6 = HOPS[node]
    return host(peer_view(peer("tor"), session=facts(v4), source=v4), node_ips=[v6])


def walk(sequence: Sequence, deliver: Callable[[list[Change]], Iterator[list[Change]]], **flags: Any) -> None:
    """Take both speakers through the sequence, and compare the router's table in every state."""
    router = Router(**flags)
    before = EMPTY
    for state in sequence:
        for batch in deliver(changes_between(before, state)):
            router.deliver(batch)
        if state.table is not None:
            assert router.table() == state.table, state.name
        router.check_against_scratch(state)
        before = state
