"""The reconciler: changes in, what each peer should hear out.

Three queues, drained in this order: objects whose own decision may differ, prefixes whose limits or
peers may, and objects whose outcome may follow from those. What an object's decision does to its own
prefixes and outcome is settled with it; the queues hold what it does to others. A change costs what it can
reach; a change of this node or of the peers reaches everything, so the work may be cut into slices.
Whatever the slices and the order of the changes, the end is the same: a function of the state.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from speaker.model.objects import Change, ObjectRef, View
from speaker.model.policy import HostView, PublicationPolicy
from speaker.model.prefix import Prefix
from speaker.model.publication import Exclusion, ExclusionReason
from speaker.model.route import AdjRibOut, Route
from speaker.routing.backlog import Backlog
from speaker.routing.export import NOWHERE, Exporter, Finding, Hearing, terms_of
from speaker.routing.guard import Guard
from speaker.routing.outcome import Outcome, OutcomeChange
from speaker.routing.pending import Hearings, Pending
from speaker.routing.select import select
from speaker.routing.state import Store
from speaker.routing.table import Table

Budget = Callable[[], bool] | int | None
"""How much one call may do: so many steps; or until the function says False (no time left); or all."""

_STEPS_AT_ONCE = 32
"""A millisecond at most, of what is dear to decide; then the budget is looked at."""


class Reconciler:
    """What each peer should hear, kept up to date change by change.

    Args:
        policy: the publication flags; `set_policy` changes some of them.
        host: this host's addresses, peers and sessions; `set_host` replaces it.
    """

    def __init__(self, policy: PublicationPolicy, host: HostView) -> None:
        self._policy = policy
        self._host = host
        self._store = Store(policy)
        self._table = Table(policy, self._guard(), Exporter(()))
        self._outcomes: dict[ObjectRef, Outcome] = {}
        # What an object's own decision came to, where its outcome is not that.
        self._selected: dict[ObjectRef, Outcome | None] = {}
        self._counts: Counter[ExclusionReason] = Counter()
        self._dirty: Backlog[ObjectRef] = Backlog()
        self._unsettled: Backlog[Prefix] = Backlog()
        self._stale: Backlog[ObjectRef] = Backlog()
        self._pending = Pending()
        self._incarnations: dict[str, int] = {}
        self._untold: OrderedDict[ObjectRef, Outcome | None] = OrderedDict()
        self._refresh_terms()

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over changes of objects; marks what they can reach, decides nothing yet."""
        for change in changes:
            self._dirty.add(self._store.apply(change))
            if change.ref == self._store.node_ref:
                self._refresh_terms()

    def set_policy(self, policy: PublicationPolicy) -> None:
        """Take over `announce_pod_cidr` and `pod_cidr_source`; marks what they decide.

        Raises:
            ValueError: if another flag differs: those hold as long as the process runs.
        """
        before = self._policy
        source, announced = before.pod_cidr_source, before.announce_pod_cidr
        if replace(policy, pod_cidr_source=source, announce_pod_cidr=announced) != before:
            msg = "only announce_pod_cidr and pod_cidr_source change while the process runs"
            raise ValueError(msg)
        self._policy = policy
        if policy != before:
            self._dirty.add((self._store.node_ref,))

    def set_host(self, host: HostView) -> None:
        """Take over this host's addresses, peers and sessions; marks only what depends on the difference."""
        self._host = host
        guard = self._guard()
        self._unsettled.add(guard.peer_hosts ^ self._table.guard.peer_hosts)
        self._table.guard = guard
        self._refresh_terms()

    def recompute(self, budget: Budget = None) -> bool:
        """Decide what is marked; returns whether all of it is done.

        Args:
            budget: a number of steps (an object or a prefix each), or a function that is asked after
                some dozens of them and ends the slice by returning False; None does everything.
        """
        left = budget if isinstance(budget, int) else None
        while not self.is_complete:
            if left == 0 or (callable(budget) and not budget()):
                return False
            done = self._step(_STEPS_AT_ONCE if left is None else min(left, _STEPS_AT_ONCE))
            left = None if left is None else left - done
        return True

    def _step(self, most: int) -> int:
        """Do so many steps at most, all of one queue; returns how many."""
        if self._dirty:
            refs = self._dirty.take(most)
            self._select(refs)
            return len(refs)
        if self._unsettled:
            prefixes = self._unsettled.take(most)
            for prefix in prefixes:
                self._settle(prefix)
            return len(prefixes)
        refs = self._stale.take(most)
        for ref in refs:
            self._conclude(ref)
        return len(refs)

    @property
    def is_complete(self) -> bool:
        """Whether everything that is marked has been decided."""
        return not (self._dirty or self._unsettled or self._stale)

    @property
    def has_changes(self) -> bool:
        """Whether `take_changes` would give something once the recomputation is complete."""
        return len(self._pending) > 0

    def take_changes(self, limit: int | None = None) -> Mapping[str, Mapping[Prefix, Route | None]]:
        """Per peer, what it should hear differently since this was last called; None withdraws.

        Advertisements come before withdrawals, within a mapping and over successive calls;
        withdrawals wait until `recompute` is complete. A peer that was added, also one that was
        removed before, hears its whole table.

        Args:
            limit: how many prefixes at most, to bound the time; call again while `has_changes`.
        """
        found: dict[str, dict[Prefix, Route | None]] = {peer.name: {} for peer in self._table.exporter.terms}
        # By identity: prefixes by the thousand go from one value to one other.
        known: dict[tuple[int, int], _Difference] = {}
        last = _NO_DIFFERENCE
        taken = self._pending.take(limit, self._table.hearings, complete=self.is_complete)
        for prefix, before, after in taken:
            if before is not last.before or after is not last.after:
                key = (id(before), id(after))
                last = known.get(key) or known.setdefault(key, _Difference.of(before, after))
            for hearing, names in last.heard:
                route = None if hearing is None else Route(prefix, hearing.next_hop, hearing.attributes)
                for name in names:
                    if name in found:
                        found[name][prefix] = route
        return {name: routes for name, routes in found.items() if routes}

    @property
    def has_explanations(self) -> bool:
        """Whether `take_explanations` would look at something."""
        return bool(self._untold)

    def take_explanations(
        self, limit: int | None = None, *, reports_only: bool = False
    ) -> list[OutcomeChange]:
        """How the outcomes of objects changed since they were last taken, for logs and Events.

        Args:
            limit: how many objects to look at, to bound the time; call again while `has_explanations`.
            reports_only: leave out those that have nothing to report now: nobody logs what is published.
        """
        untold = list(islice(self._untold.items(), limit))
        if len(untold) == len(self._untold):
            self._untold = OrderedDict()
        else:
            for ref, _ in untold:
                del self._untold[ref]
        if reports_only:
            outcomes = self._outcomes
            untold = [each for each in untold if (now := outcomes.get(each[0])) and now.has_reports]
        found = (OutcomeChange(ref, before, self._outcomes.get(ref)) for ref, before in untold)
        return [each for each in found if each.before != each.after]

    def adj_rib_out(self, peer: str) -> AdjRibOut:
        """All that the peer should hear; empty for a name that is no peer."""
        routes = (each.route(prefix, peer) for prefix, each in self._table.distributions())
        return {route.prefix: route for route in routes if route is not None}

    def outcomes(self) -> Mapping[ObjectRef, Outcome]:
        """What became of every object that asks, or whose annotations are not understood."""
        return self._outcomes

    def exclusion_counts(self) -> Mapping[ExclusionReason, int]:
        """How many exclusions and notes stand now, by reason; those at zero are left out."""
        return {reason: count for reason, count in self._counts.items() if count}

    def explain(self, ref: ObjectRef) -> Outcome | None:
        """The outcome with one note for each peer that does not hear a prefix, or hears it otherwise."""
        outcome = self._outcomes.get(ref)
        if outcome is None:
            return None
        notes = (self._selected.get(ref) or outcome).notes
        for publication in outcome.publications:
            notes += tuple(
                _exclusion(ref, publication.prefix, each) for each in self._table.findings(publication)
            )
        return Outcome(outcome.publications, outcome.exclusions, notes)

    def _guard(self) -> Guard:
        addresses = (view.peer.address for view in self._host.peers.values())
        return Guard(self._policy.allowed_prefixes, addresses)

    def _refresh_terms(self) -> None:
        """Derive the peers' terms again; if they differ, every prefix is to be settled again."""
        node = self._store.node
        before = self._table.exporter.terms
        # A peer that comes back is another session, which has heard nothing yet.
        for gone in {each.name for each in before} - self._host.peers.keys():
            self._incarnations[gone] = self._incarnations.get(gone, 0) + 1
        terms = terms_of(self._host, node.internal_ips if node else (), self._incarnations)
        if terms != before:
            self._table.exporter = self._table.exporter.successor(terms)
            # Mostly a session has come back or gone, and nobody hears anything else by that.
            if not self._table.exporter.took_over_all:
                self._unsettled.add(self._table.unlike_exporter())

    def _select(self, refs: Sequence[ObjectRef]) -> None:
        """Decide these objects, and what their prefixes and their own outcomes come to by that."""
        outcomes, selected = self._outcomes, self._selected
        for ref, after in zip(refs, select(refs, self._store, self._policy), strict=True):
            is_new = after is not None and ref not in outcomes and ref not in selected
            if not (is_new and after is not None and self._publish_alone(ref, after)):
                self._replace(ref, after)

    def _publish_alone(self, ref: ObjectRef, selected: Outcome) -> bool:
        """The short way of an object that asks for one prefix now, and for none before; if it is open."""
        publications, exclusions, notes = selected
        if exclusions or notes or len(publications) != 1:
            return False
        hearings = self._table.publish_alone(publications)
        if hearings is None:
            return False
        self._pending.note(publications[0].prefix, NOWHERE.hearings, hearings)
        self._outcomes[ref] = selected
        self._untold.setdefault(ref, None)
        return True

    def _replace(self, ref: ObjectRef, after: Outcome | None) -> None:
        """What an object comes to by itself is this now, in place of what was."""
        before = self._selected.get(ref, self._outcomes.get(ref))
        if before == after:
            return
        self._selected[ref] = after
        touched = self._table.claim(
            ref, before.publications if before else (), after.publications if after else ()
        )
        for prefix in touched:
            self._settle(prefix, ref)
        self._conclude(ref)

    def _settle(self, prefix: Prefix, concluded: ObjectRef | None = None) -> None:
        """Decide one prefix; marks the objects whose outcome may differ by it, save one that is concluded."""
        before, after, moved = self._table.settle(prefix)
        if moved:
            self._unsettled.add(moved)
        # Fates stand in the order of the claims: of several, one may have another although all look alike.
        if before.fates != after.fates or len(after.fates) > 1:
            claims = self._table.claims(prefix)
            self._stale.add(claim.source for claim in claims if claim.source != concluded)
        if before.distribution is not after.distribution:
            self._pending.note(prefix, before.distribution.hearings, after.distribution.hearings)

    def _conclude(self, ref: ObjectRef) -> None:
        """Put the outcome of one object together from its own decision and its prefixes' fates."""
        before = self._outcomes.get(ref)
        selected = self._selected.get(ref, before)
        after = None if selected is None else self._outcome(ref, selected)
        if after is selected:
            self._selected.pop(ref, None)
        else:
            self._selected[ref] = selected
        if before == after:
            return
        if before is not None and before.has_reports:
            self._counts.subtract(each.reason for each in before.reports)
        if after is None:
            del self._outcomes[ref]
        else:
            self._outcomes[ref] = after
            if after.has_reports:
                self._counts.update(each.reason for each in after.reports)
        self._untold.setdefault(ref, before)

    def _outcome(self, ref: ObjectRef, selected: Outcome) -> Outcome:
        for each in selected.publications:
            if not self._table.fate(each).is_plain:
                return self._qualified(ref, selected)
        return selected

    def _qualified(self, ref: ObjectRef, selected: Outcome) -> Outcome:
        """The outcome of an object that not every peer hears as it asks."""
        fates = [(each, self._table.fate(each)) for each in selected.publications]
        published = tuple(each for each, fate in fates if fate.refusal is None)
        refused = tuple(
            _exclusion(ref, each.prefix, fate.refusal) for each, fate in fates if fate.refusal is not None
        )
        noted = tuple(_exclusion(ref, each.prefix, note) for each, fate in fates for note in fate.notes)
        return Outcome(published, selected.exclusions + refused, selected.notes + noted)


@dataclass(frozen=True, slots=True)
class Result:
    """What a node would do, from scratch.

    Attributes:
        adj_ribs_out: by peer name.
        outcomes: by object.
    """

    adj_ribs_out: Mapping[str, AdjRibOut]
    outcomes: Mapping[ObjectRef, Outcome]


def reconcile(policy: PublicationPolicy, host: HostView, views: Iterable[Change | View]) -> Result:
    """Decide everything at once; what the reconciler must come to after any sequence of changes."""
    reconciler = Reconciler(policy, host)
    reconciler.apply(each if isinstance(each, Change) else Change(each.meta.ref, each) for each in views)
    reconciler.recompute()
    tables = {name: reconciler.adj_rib_out(name) for name in host.peers}
    return Result(tables, dict(reconciler.outcomes()))


class _Difference(NamedTuple):
    """What peers hear otherwise when a prefix goes from `before` to `after`.

    Attributes:
        before: what they heard.
        after: what they hear.
        heard: each that differs, None for nothing any more, with the names of those that hear it alike: they
            share the route.
    """

    before: Hearings
    after: Hearings
    heard: tuple[tuple[Hearing | None, tuple[str, ...]], ...]

    @classmethod
    def of(cls, before: Hearings, after: Hearings) -> "_Difference":
        names: dict[Hearing | None, list[str]] = {}
        for name in before.keys() | after.keys():
            hearing = after.get(name)
            if before.get(name) != hearing:
                names.setdefault(hearing, []).append(name)
        return cls(before, after, tuple((hearing, tuple(alike)) for hearing, alike in names.items()))


_NO_DIFFERENCE = _Difference({}, {}, ())


def _exclusion(ref: ObjectRef, prefix: Prefix, finding: Finding) -> Exclusion:
    return Exclusion(
        source=ref, reason=finding.reason, prefix=prefix, peer=finding.peer, detail=finding.detail
    )
