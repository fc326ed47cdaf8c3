"""What peers have taught, chosen from: received routes in, the forwarding table and what goes on out.

The Loc-RIB of learned routes (RFC 4271 §3.2). A change costs what it reaches: a route its prefix, a next
hop the prefixes over it, a peer its routes. What is marked is decided by `recompute`, in slices of any
size and in any order with the same end. No clock, log or task; nothing of our own routes.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from types import MappingProxyType

from speaker.model.fib import Resolution
from speaker.model.policy import HostView
from speaker.model.prefix import Address, Family, Prefix, family_of, sort_key
from speaker.model.route import Paths, PrefixPath, Route
from speaker.routing.choosing import Chooser, contender
from speaker.routing.decision import Candidate, Rule, decide
from speaker.routing.imports import Admission, ImportPolicy, PrefixRules, PrefixSet
from speaker.routing.learning_peers import LearningPeers, own_addresses
from speaker.routing.paths import Entry, NextHops, Path, Waiting
from speaker.routing.reconcile import Budget
from speaker.routing.reflect import SILENCE, Offer, changes


class LocRib:
    """Routes that peers advertise, and what becomes of them. At first there is no peer and no range."""

    def __init__(self) -> None:
        self._host = HostView()
        self._policy = ImportPolicy()
        self._rules = PrefixRules(self._policy)
        self._admission = Admission()
        self._chooser = Chooser()
        self._entries: dict[Prefix, Entry] = {}
        self._next_hops = NextHops()
        self._peers = LearningPeers()
        self._by_peer: dict[str, set[Path]] = {}
        self._dirty: deque[Entry] = deque()
        # Prefixes that a change of the ranges may concern, to be looked at one by one.
        self._walk: deque[Entry] = deque()
        self._walked = PrefixSet(())
        self._forwarding = Waiting()
        self._telling = Waiting()
        self._counts = dict.fromkeys(Family, 0)
        # How many prefixes of each version and length packets are forwarded by: what to look for, to find
        # the one that holds another.
        self._lengths: Counter[tuple[int, int]] = Counter()

    # -- inputs ----------------------------------------------------------------------------------------

    def set_host(self, host: HostView) -> None:
        """Take over this host's addresses, peers and sessions; marks only what depends on the difference.

        A peer without a session keeps its routes and goes on hearing as on its last one, so that a graceful
        restart changes nothing; one that is gone from `host` loses all.
        """
        self._host = host
        for each in self._next_hops.set_own(own_addresses(host)):
            self._mark_paths(each.paths)
        self._refresh_peers()

    def set_import(self, policy: ImportPolicy) -> None:
        """Take over what may be learned; marks only what depends on the difference."""
        before, self._policy = self._policy, policy
        if (before.ranges, before.own) != (policy.ranges, policy.own):
            rules_before, self._rules = self._rules, PrefixRules(policy)
            changed = self._rules.difference(rules_before)
            # An earlier walk that has not ended begins again together with this one.
            self._walked = self._walked | changed if self._walk else changed
            self._walk = deque(self._entries.values()) if self._walked else deque()
        if before.filters != policy.filters:
            self._refresh_peers()

    def received(self, peer: str, advertised: Iterable[Route], withdrawn: Iterable[PrefixPath]) -> None:
        """Take in an UPDATE; what is withdrawn first, since one message may name a prefix in both.

        Routes of a name that is no peer are left alone: its session has ended.
        """
        if peer not in self._peers.sources:
            return
        of_peer = self._by_peer.setdefault(peer, set())
        entries = self._entries
        for gone in withdrawn:
            entry = entries.get(gone.prefix)
            path = None if entry is None else entry.find(peer, gone.path_id)
            if entry is not None and path is not None:
                entry.drop(path)
                path.leave()
                of_peer.discard(path)
                self._mark(entry)
        for route in advertised:
            entry = entries.get(route.prefix)
            if entry is None:
                entry = entries[route.prefix] = Entry(route.prefix)
            put = entry.put(peer, route)
            if put is None:
                continue
            path, before = put
            of_peer.add(path)
            if before is not None:
                of_peer.discard(before)
                before.leave()
            self._mark(entry)

    def set_resolutions(self, resolutions: Mapping[Address, Resolution]) -> None:
        """Take over how next hops are reached; marks the prefixes over those that changed."""
        for each in self._next_hops.set_resolutions(resolutions):
            self._mark_paths(each.paths)

    @property
    def next_hops(self) -> frozenset[Address]:
        """The next hops that are to be resolved: those of all paths that the import policy lets through."""
        return self._next_hops.in_use

    def forget_unused_next_hops(self) -> None:
        """Forget the resolutions of all but `next_hops`.

        For a caller that has just said which next hops it wants resolved, so that those that come back will
        be told anew; until then a next hop that goes and comes back keeps its resolution.
        """
        self._next_hops.forget_unused()

    # -- deciding --------------------------------------------------------------------------------------

    def recompute(self, budget: Budget = None) -> bool:
        """Decide what is marked; returns whether all of it is done.

        Args:
            budget: a number of steps (a prefix each), or a function that is asked before each step and ends
                the slice by returning False; None does everything.
        """
        steps = 0
        while self._dirty or self._walk:
            if budget is not None and not (steps < budget if isinstance(budget, int) else budget()):
                return False
            steps += 1
            if self._walk:
                self._look_at(self._walk.popleft())
            else:
                self._decide(self._dirty.popleft())
        return True

    @property
    def is_complete(self) -> bool:
        """Whether everything that is marked has been decided."""
        return not (self._dirty or self._walk)

    def _look_at(self, entry: Entry) -> None:
        if entry.is_judged and entry.prefix in self._walked:
            refusal = self._rules.refuse(entry.prefix)
            if refusal is not entry.refusal:
                entry.refusal = refusal
                self._mark(entry)

    def _decide(self, entry: Entry) -> None:
        entry.is_queued = False
        if not entry.is_judged:
            entry.refusal = self._rules.refuse(entry.prefix)
            entry.is_judged = True
        eligible = self._eligible(entry)
        if not eligible and self._is_still_unknown(entry):
            return
        order, forward = self._chooser.choose(eligible)
        if bool(order) != bool(entry.order):
            self._counts[family_of(entry.prefix)] += 1 if order else -1
        entry.order = order
        entry.forward = entry.forwarded if forward == entry.forwarded else forward
        is_told = entry.forward is entry.forwarded
        self._forwarding.note(entry, is_told=is_told, leaves=forward is None)
        self._tell(entry)
        self._discard_if_over(entry)

    def _is_still_unknown(self, entry: Entry) -> bool:
        """Whether what was chosen stays, since nobody knows yet whether there is another path.

        A peer may replace a route by one whose next hop has not been looked up: unknown is not unreachable.
        """
        return entry.waits and all(path.peer in self._peers.sources for path in entry.order)

    def _eligible(self, entry: Entry) -> tuple[Path, ...]:
        """The paths that may be chosen; takes their next hops into the account of what is to be resolved."""
        if entry.refusal is not None:
            for path in entry.paths:
                # Its next hop is not followed any more, so it is to be found again.
                path.source = None
                path.follow(None)
            return ()
        sources = self._peers.sources
        eligible: list[Path] = []
        for path in entry.paths:
            source = sources[path.peer]
            if path.source is not source:
                path.judged(source, self._admission.admit(source, path.received), self._next_hops)
            next_hop = path.next_hop
            if next_hop is not None and next_hop.refusal is None:
                eligible.append(path)
        # Most often it is all of them, and one tuple does for both.
        return entry.paths if len(eligible) == len(entry.paths) else tuple(eligible)

    def _tell(self, entry: Entry) -> None:
        if not self._peers.teller.audiences and entry.hearing is entry.heard is SILENCE:
            return
        hearing = self._peers.teller.tell(tuple(_offers(entry.order)))
        entry.hearing = entry.heard if hearing == entry.heard else hearing
        is_told = entry.hearing is entry.heard
        self._telling.note(entry, is_told=is_told, leaves=entry.is_silent)

    # -- outputs ---------------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether `take_fib` or `take_advertised` would give something now."""
        complete = self.is_complete
        return self._forwarding.has_any(complete=complete) or self._telling.has_any(complete=complete)

    def take_fib(self, limit: int | None = None) -> Mapping[Prefix, tuple[Address, ...] | None]:
        """Where packets shall go differently since this was last called: BGP next hops, several with ECMP.

        None removes. Removals come last, within a mapping and over successive calls, and wait until
        `recompute` is complete.

        Args:
            limit: how many prefixes at most, to bound the time; call again while `has_changes`.
        """
        found: dict[Prefix, tuple[Address, ...] | None] = {}
        for entry in self._forwarding.take(limit, complete=self.is_complete):
            prefix, before, forward = entry.prefix, entry.forwarded, entry.forward
            if (before is None) is not (forward is None):
                self._lengths[prefix.version, prefix.prefixlen] += 1 if before is None else -1
            found[prefix] = entry.forwarded = forward
            self._discard_if_over(entry)
        return found

    def reaches(self, prefix: Prefix) -> bool:
        """Whether a route that was taken leads to the prefix: its own, or one that holds it."""
        return any(
            self._is_forwarded(prefix.supernet(new_prefix=length))
            for (version, length), number in self._lengths.items()
            if number and version == prefix.version and length <= prefix.prefixlen
        )

    def _is_forwarded(self, prefix: Prefix) -> bool:
        entry = self._entries.get(prefix)
        return entry is not None and entry.forwarded is not None

    def take_advertised(self, limit: int | None = None) -> Mapping[str, Mapping[Prefix, Paths | None]]:
        """Per peer, what of the learned routes it should hear differently since this was last called.

        None withdraws. Prefixes that nobody hears any more come last and wait until `recompute` is
        complete. A peer that was added, also one that was removed before, hears everything.

        Args:
            limit: how many prefixes at most, to bound the time; call again while `has_changes`.
        """
        found: defaultdict[str, dict[Prefix, Paths | None]] = defaultdict(dict)
        present = self._peers.members
        for entry in self._telling.take(limit, complete=self.is_complete):
            prefix = entry.prefix
            for member, paths in changes(entry.heard, entry.hearing):
                if member in present:
                    found[member.name][prefix] = paths
            entry.heard = entry.hearing
            self._discard_if_over(entry)
        return found

    def lost_without(self, peers: frozenset[str]) -> tuple[Prefix, ...]:
        """The prefixes that have a path now and would have none without these peers, ordered."""
        reached = {path.entry for name in peers for path in self._by_peer.get(name, ())}
        lost = (entry.prefix for entry in reached if entry.order and _all_of(entry, peers))
        return tuple(sorted(lost, key=sort_key))

    def lost_under(self, cluster_id: IPv4Address) -> tuple[Prefix, ...]:
        """The prefixes that have a path now and would have none if this became our CLUSTER_ID, ordered.

        All their paths were reflected under it, and would be taken for loops (RFC 4456 §8).
        """
        lost = (entry.prefix for entry in self._entries.values() if _all_under(entry, cluster_id))
        return tuple(sorted(lost, key=sort_key))

    def paths(self, prefix: Prefix) -> tuple[Candidate, ...]:
        """Every path to the prefix as it was last decided: the best first, what is not eligible last."""
        entry = self._entries.get(prefix)
        if entry is None:
            return ()
        rules: tuple[Rule, ...] = ()
        if entry.order:
            sources = self._peers.sources
            rules = decide([contender(path, sources[path.peer]) for path in entry.order]).rules
        chosen = [
            Candidate(path.peer, path.admitted or path.received, rule)
            for path, rule in zip(entry.order, rules, strict=True)
        ]
        others = sorted(
            (path for path in entry.paths if path not in entry.order),
            key=lambda path: (path.peer, path.received.path_id),
        )
        return (*chosen, *(Candidate(each.peer, each.received, _refusal(entry, each)) for each in others))

    @property
    def counts(self) -> Mapping[Family, int]:
        """How many prefixes of each family have a chosen path."""
        return MappingProxyType(self._counts)

    @property
    def size(self) -> int:
        """How many prefixes are kept, chosen or not."""
        return len(self._entries)

    @property
    def prefixes(self) -> tuple[Prefix, ...]:
        """Every prefix that any peer advertises, ordered."""
        return tuple(sorted((each.prefix for each in self._entries.values() if each.paths), key=sort_key))

    # -- entries ---------------------------------------------------------------------------------------

    def _refresh_peers(self) -> None:
        effect = self._peers.refresh(self._host, self._policy.filters)
        for name in effect.gone:
            self._forget(name)
        for name in effect.sources:
            self._mark_paths(self._by_peer.get(name, ()))
        if effect.hearers:
            for entry in self._entries.values():
                self._mark(entry)

    def _forget(self, name: str) -> None:
        for path in self._by_peer.pop(name, ()):
            path.entry.drop(path)
            path.leave()
            self._mark(path.entry)

    def _mark(self, entry: Entry) -> None:
        if not entry.is_queued:
            entry.is_queued = True
            self._dirty.append(entry)

    def _mark_paths(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self._mark(path.entry)

    def _discard_if_over(self, entry: Entry) -> None:
        if not entry.paths and entry.is_over:
            self._entries.pop(entry.prefix, None)


def _offers(order: tuple[Path, ...]) -> Iterator[Offer]:
    for path in order:
        if path.source is not None and path.admitted is not None:
            yield Offer(path.source, path.admitted, path.number)


def _all_of(entry: Entry, peers: frozenset[str]) -> bool:
    return all(path.peer in peers for path in entry.order)


def _all_under(entry: Entry, cluster_id: IPv4Address) -> bool:
    clusters = (path.received.attributes.learned for path in entry.order)
    return bool(entry.order) and all(
        each is not None and cluster_id in each.cluster_list for each in clusters
    )


def _refusal(entry: Entry, path: Path) -> Rule:
    """Why a path is not among the eligible."""
    refusal = entry.refusal or path.refusal
    if refusal is not None:
        return refusal
    return (path.next_hop and path.next_hop.refusal) or Rule.NEXT_HOP_UNREACHABLE
