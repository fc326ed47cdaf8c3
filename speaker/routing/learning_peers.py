"""The peers as learned routes see them: whose routes are judged how, and who hears what.

Remembers what the last session of a peer negotiated: its routes are kept and it goes on hearing the same
while it restarts (RFC 4724). Knows no route.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from speaker.model.fabric import BgpFilter
from speaker.model.peer import SessionFacts
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address
from speaker.routing.imports import Source, source_of
from speaker.routing.reflect import HearerTerms, Member, Teller, audiences_of, terms_of


@dataclass(frozen=True, slots=True)
class PeerEffect:
    """What a change of the peers reaches.

    Attributes:
        gone: the peers that are no more.
        sources: the peers whose routes are to be judged or compared anew.
        hearers: whether somebody hears otherwise than before.
    """

    gone: tuple[str, ...]
    sources: tuple[str, ...]
    hearers: bool


class LearningPeers:
    """All peers, by what learned routes depend on of them.

    Attributes:
        sources: how the routes of each are judged and compared, by name.
        members: all of them, in their present lives.
        teller: works out what they hear.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.members: frozenset[Member] = frozenset()
        self.teller = Teller((), {}, {})
        self._facts: dict[str, SessionFacts] = {}
        self._incarnations: Counter[str] = Counter()
        self._heard_by: Mapping[Member, HearerTerms] = {}
        self._router_ids: Mapping[IPv4Address, tuple[Member, ...]] = {}

    def refresh(self, host: HostView, filters: Mapping[str, BgpFilter]) -> PeerEffect:
        """Take over the peers, their sessions and the BGPFilters; says what depends on the difference."""
        gone = tuple(self.sources.keys() - host.peers.keys())
        for name in gone:
            del self.sources[name]
            self._facts.pop(name, None)
            # A peer that comes back is another session, which has heard nothing yet.
            self._incarnations[name] += 1
        for name, view in host.peers.items():
            if view.facts is not None:
                self._facts[name] = view.facts
        sources = tuple(self._refresh_sources(host, filters))
        self.members = frozenset(Member(name, self._incarnations[name]) for name in self.sources)
        return PeerEffect(gone, sources, self._refresh_hearers(host, filters))

    def _refresh_sources(self, host: HostView, filters: Mapping[str, BgpFilter]) -> Iterator[str]:
        for name, view in host.peers.items():
            facts = self._facts.get(name)
            source = source_of(view.peer, None if facts is None else facts.peer_router_id, filters)
            if self.sources.get(name) != source:
                self.sources[name] = source
                yield name

    def _refresh_hearers(self, host: HostView, filters: Mapping[str, BgpFilter]) -> bool:
        heard_by: dict[Member, HearerTerms] = {}
        router_ids: dict[IPv4Address, tuple[Member, ...]] = {}
        for name, view in sorted(host.peers.items()):
            known = self._with_last_facts(view)
            terms = terms_of(host, known, filters)
            if terms is None:
                continue
            member = Member(name, self._incarnations[name])
            heard_by[member] = terms
            router_id = None if known.facts is None else known.facts.peer_router_id
            if router_id is not None:
                router_ids[router_id] = (*router_ids.get(router_id, ()), member)
        if (heard_by, router_ids) == (self._heard_by, self._router_ids):
            return False
        self._heard_by, self._router_ids = heard_by, router_ids
        audiences = audiences_of(heard_by, self.teller.audiences)
        self.teller = Teller(audiences, {each.name: each for each in heard_by}, router_ids)
        return True

    def _with_last_facts(self, view: PeerView) -> PeerView:
        last = self._facts.get(view.peer.name)
        return view if view.facts is not None or last is None else replace(view, facts=last)


def own_addresses(host: HostView) -> frozenset[Address]:
    """The addresses of this host as far as they are known: none of them is a next hop (RFC 4271 §5.1.3)."""
    return frozenset(_addresses(host))


def _addresses(host: HostView) -> Iterator[Address]:
    yield from (*host.node_ips, *host.pod_ips)
    for view in host.peers.values():
        if view.preferred_source is not None:
            yield view.preferred_source
        if view.facts is not None:
            yield view.facts.local_address
