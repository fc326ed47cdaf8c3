"""What peers hear of what other peers have taught: reflection (RFC 4456), and transit where it is permitted.

Peers that hear the same share an `Audience`, so that what two hundred clients hear of a prefix is worked
out once; only those that a path came from hear something of their own. Knows no table and no own route.

Without a permission nothing goes on but by reflection: routes of internal peers to internal peers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import NamedTuple

from speaker.model.fabric import BgpFilter
from speaker.model.peer import NextHopMode, Role
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address, Family, family_of
from speaker.model.route import Learned, PathAttributes, Paths, Route
from speaker.routing.decision import LLGR_STALE
from speaker.routing.filters import Passage, export_route, permits_transit
from speaker.routing.imports import Source, filters_of
from speaker.routing.nexthop import next_hop

PATHS_MOST = 64
"""How many paths to one prefix a peer hears with ADD-PATH."""

_NO_EXPORT = 0xFFFFFF01
_NO_ADVERTISE = 0xFFFFFF02
_NO_EXPORT_SUBCONFED = 0xFFFFFF03
_STAYS_INSIDE = frozenset({_NO_EXPORT, _NO_EXPORT_SUBCONFED})
"""RFC 1997: well-known communities that keep a route inside the AS."""

_BELOW = frozenset({Role.CUSTOMER, Role.PEER, Role.ROUTE_SERVER_CLIENT})
"""Our roles toward peers that hear nothing with ONLY_TO_CUSTOMER (RFC 9234 §5)."""


class Member(NamedTuple):
    """One peer in one of its lives: one that was removed and comes back has heard nothing."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HearerTerms:
    """All of a peer that what it hears depends on; equal terms hear equally.

    Attributes:
        is_ibgp: whether it is an internal peer.
        client: whether it is our client.
        cluster_id: our CLUSTER_ID toward it; None when we do not reflect.
        families: what the session carries.
        add_path: the families in which it hears several paths.
        next_hop_mode: what becomes of the next hop.
        next_hops: our own next hop toward it where it counts, by family; None where there is none.
        filters: its BGPFilters.
        long_lived: whether it knows long-lived graceful restart (RFC 9494).
        role: our role toward it (RFC 9234).
    """

    is_ibgp: bool
    client: bool
    cluster_id: IPv4Address | None
    families: frozenset[Family]
    add_path: frozenset[Family]
    next_hop_mode: NextHopMode
    next_hops: tuple[tuple[Family, Address | None], ...]
    filters: tuple[BgpFilter, ...]
    long_lived: bool
    role: Role | None


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """Peers that hear the same."""

    terms: HearerTerms
    members: frozenset[Member]


@dataclass(frozen=True, slots=True)
class Offer:
    """An eligible path that may be told.

    Attributes:
        source: who told it us.
        route: as the import policy leaves it.
        number: the Path Identifier that we give it; unique among the paths to its prefix.
    """

    source: Source
    route: Route
    number: int


@dataclass(frozen=True, slots=True)
class Hearing:
    """What peers hear of one prefix.

    Attributes:
        shares: by audience.
        apart: what single members hear instead, since a path came from them; None is nothing.
    """

    shares: Mapping[Audience, Paths]
    apart: Mapping[Member, Paths | None]

    def of(self, member: Member) -> Paths | None:
        """What one peer hears."""
        if member in self.apart:
            return self.apart[member]
        return next((paths for each, paths in self.shares.items() if member in each.members), None)


SILENCE = Hearing({}, {})


def terms_of(host: HostView, view: PeerView, filters: Mapping[str, BgpFilter]) -> HearerTerms | None:
    """What the peer's hearing depends on; None when nothing that was learned can reach it.

    Args:
        host: this host's addresses.
        view: the peer; `facts` those of the present or the last session, None before the first.
        filters: all BGPFilters.
    """
    peer, facts = view.peer, view.facts
    named = filters_of(peer, filters)
    if named is None or not (permits_transit(named) or (peer.is_ibgp and peer.cluster_id is not None)):
        return None
    families = peer.families if facts is None else facts.families
    takes_ours = not _keeps_next_hop(peer.next_hop_mode, is_ibgp=peer.is_ibgp)
    offered = families if peer.add_path_send else frozenset()
    return HearerTerms(
        is_ibgp=peer.is_ibgp,
        client=peer.client,
        cluster_id=peer.cluster_id,
        families=families,
        add_path=offered if facts is None else facts.add_path_send,
        next_hop_mode=peer.next_hop_mode,
        next_hops=tuple(
            (family, next_hop(family, host, view, ())) for family in sorted(families) if takes_ours
        ),
        filters=named,
        long_lived=facts is not None and facts.long_lived,
        role=peer.role,
    )


def audiences_of(terms: Mapping[Member, HearerTerms], known: Iterable[Audience]) -> tuple[Audience, ...]:
    """The peers by what they hear; an audience that is as it was stays the same object."""
    found: dict[HearerTerms, set[Member]] = {}
    for member, each in terms.items():
        found.setdefault(each, set()).add(member)
    before = {(each.terms, each.members): each for each in known}
    made = (Audience(each, frozenset(members)) for each, members in found.items())
    return tuple(before.get((each.terms, each.members), each) for each in made)


class Teller:
    """Works out who hears what; keeps attributes that it has rewritten, for the prefixes that share them.

    Args:
        audiences: the peers that can hear something.
        members: them by name.
        router_ids: them by the BGP Identifier of their session.
    """

    def __init__(
        self,
        audiences: tuple[Audience, ...],
        members: Mapping[str, Member],
        router_ids: Mapping[IPv4Address, tuple[Member, ...]],
    ) -> None:
        self.audiences = audiences
        self._members = members
        self._router_ids = router_ids
        # By identity, which costs less than to compare; the values keep what the identities stand for.
        self._rewritten: dict[tuple[int, int, int], _Rewritten] = {}

    def tell(self, offers: Sequence[Offer]) -> Hearing:
        """What every peer hears of a prefix with these paths, the best first."""
        shares: dict[Audience, Paths] = {}
        apart: dict[Member, Paths | None] = {}
        if not offers:
            return SILENCE
        family = family_of(offers[0].route.prefix)
        for audience in self.audiences:
            terms = audience.terms
            if family not in terms.families:
                continue
            several = family in terms.add_path
            told = [
                (offer, route)
                for offer in (offers[:PATHS_MOST] if several else offers[:1])
                if (route := self._pass_on(offer, terms, numbered=several)) is not None
            ]
            if told:
                shares[audience] = _paths(route for _, route in told)
                apart.update(self._without_own(audience, told))
        return Hearing(shares, apart) if shares else SILENCE

    def _without_own(
        self, audience: Audience, told: Sequence[tuple[Offer, Route]]
    ) -> Iterator[tuple[Member, Paths | None]]:
        """What those hear that a path came from: not that path (RFC 4456 §8, and whoever told it)."""
        own: dict[Member, set[int]] = {}
        for offer, _ in told:
            for member in self._origins(offer):
                if member in audience.members:
                    own.setdefault(member, set()).add(offer.number)
        for member, numbers in own.items():
            left = [route for offer, route in told if offer.number not in numbers]
            yield member, _paths(left) if left else None

    def _origins(self, offer: Offer) -> Iterator[Member]:
        teller = self._members.get(offer.source.name)
        if teller is not None:
            yield teller
        learned = offer.route.attributes.learned
        if learned is not None and learned.originator_id is not None:
            yield from self._router_ids.get(learned.originator_id, ())

    def _pass_on(self, offer: Offer, terms: HearerTerms, *, numbered: bool) -> Route | None:
        """The path as it goes to peers of these terms, or None."""
        reflects = terms.is_ibgp and offer.source.is_ibgp
        if not (reflects or terms.filters):
            return None
        attributes = self._rewrite(offer, terms)
        hop = _next_hop(offer.route, terms)
        if attributes is None or hop is None:
            return None
        route = Route(offer.route.prefix, hop, attributes, offer.number if numbered else 0)
        if not terms.filters:
            return route
        passed = export_route(terms.filters, route, Passage(terms.is_ibgp))
        return passed.route if reflects or passed.permitted else None

    def _rewrite(self, offer: Offer, terms: HearerTerms) -> PathAttributes | None:
        attributes = offer.route.attributes
        key = (id(attributes), id(offer.source), id(terms))
        found = self._rewritten.get(key)
        if found is None:
            if len(self._rewritten) >= _REWRITTEN_MOST:
                self._rewritten.clear()
            result = _rewritten(attributes, offer.source, terms)
            found = self._rewritten[key] = _Rewritten(attributes, offer.source, result)
        return found.result


_REWRITTEN_MOST = 10_000


class _Rewritten(NamedTuple):
    attributes: PathAttributes
    source: Source
    result: PathAttributes | None


def changes(before: Hearing, after: Hearing) -> Iterator[tuple[Member, Paths | None]]:
    """Who hears something else than before, and what; None is nothing."""
    if before is SILENCE or after is SILENCE:
        # Most of all changes: a prefix that is new, or gone.
        for member, paths in _each(before if after is SILENCE else after):
            yield member, None if after is SILENCE else paths
        return
    known = {each.terms: (each, paths) for each, paths in before.shares.items()}
    looked_at: set[Member] = {*before.apart, *after.apart}
    for audience, paths in after.shares.items():
        was = known.pop(audience.terms, None)
        if was is None:
            looked_at |= audience.members
        elif was[1] != paths:
            looked_at |= audience.members | was[0].members
        elif was[0] is not audience:
            looked_at |= audience.members ^ was[0].members
    for audience, _ in known.values():
        looked_at |= audience.members
    for member in looked_at:
        now = after.of(member)
        if before.of(member) != now:
            yield member, now


def _each(hearing: Hearing) -> Iterator[tuple[Member, Paths]]:
    """Everyone who hears something, and what."""
    apart = hearing.apart
    for audience, paths in hearing.shares.items():
        for member in audience.members:
            told = apart.get(member, paths) if apart else paths
            if told is not None:
                yield member, told


def _paths(routes: Iterable[Route]) -> Paths:
    found = tuple(routes)
    return found[0] if len(found) == 1 else found


def _next_hop(route: Route, terms: HearerTerms) -> Address | None:
    """NEXT_HOP of a learned route (RFC 4271 §5.1.3): unchanged inside the AS, ours toward the outside."""
    if _keeps_next_hop(terms.next_hop_mode, is_ibgp=terms.is_ibgp):
        return route.next_hop
    return dict(terms.next_hops).get(family_of(route.prefix))


def _keeps_next_hop(mode: NextHopMode, *, is_ibgp: bool) -> bool:
    return mode is NextHopMode.KEEP or (mode is NextHopMode.AUTO and is_ibgp)


def _rewritten(attributes: PathAttributes, source: Source, terms: HearerTerms) -> PathAttributes | None:
    """The attributes as peers of these terms hear them; None when they must not hear the path."""
    if not _may_hear(attributes, terms):
        return None
    if not terms.is_ibgp:
        # RFC 4271 §5.1.4, §5.1.5: the MED of one AS goes to no other, and LOCAL_PREF stays inside.
        learned = attributes.learned
        clean = None if learned is None else replace(learned, med=None)
        return replace(attributes, local_preference=None, med=None, learned=clean)
    if not source.is_ibgp:
        return attributes
    if terms.cluster_id is None or not (source.client or terms.client):
        return None
    return _reflected(attributes, source, terms.cluster_id)


def _may_hear(attributes: PathAttributes, terms: HearerTerms) -> bool:
    communities = attributes.communities
    if _NO_ADVERTISE in communities or (not terms.is_ibgp and not _STAYS_INSIDE.isdisjoint(communities)):
        return False
    if LLGR_STALE in communities and not terms.long_lived:
        # RFC 9494 §4.3: a peer that does not know the community would take the path for alive.
        return False
    return attributes.only_to_customer is None or terms.role not in _BELOW


def _reflected(attributes: PathAttributes, source: Source, cluster_id: IPv4Address) -> PathAttributes | None:
    """RFC 4456 §8: who brought the path into the AS, and that it has passed us; nothing else changes."""
    learned = attributes.learned or Learned()
    originator = learned.originator_id or source.router_id
    if originator is None:
        return None
    marked = replace(learned, originator_id=originator, cluster_list=(cluster_id, *learned.cluster_list))
    return replace(attributes, learned=marked)
