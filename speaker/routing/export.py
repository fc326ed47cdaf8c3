"""What each peer hears of a prefix, by who asks for it.

The answer depends on the family and on the demands (attributes and peers) alone, so it is computed
once for all prefixes that share them: a `Distribution`. Where several objects ask for one prefix,
each peer hears the oldest object that wants it to hear.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address, Family, Prefix
from speaker.model.publication import Demand, ExclusionReason
from speaker.model.route import PathAttributes, Route
from speaker.routing.nexthop import next_hop

NAMED_PEERS = 5
"""How many peers one report names before it only counts."""


@dataclass(frozen=True, slots=True)
class PeerTerms:
    """All of a peer that routes to it depend on; equal terms mean equal routes.

    Attributes:
        name: the peer's name.
        address: as `bgp-peers` may write it.
        is_ibgp: whether it is in our AS.
        next_hops: per family that it takes; None where this host has none.
        incarnation: how often a peer of this name was removed: one that comes back has heard nothing.
        is_node: whether the peer is another Node of the cluster, which hears only what this one owns.
    """

    name: str
    address: str
    is_ibgp: bool
    next_hops: Mapping[Family, Address | None]
    incarnation: int = 0
    is_node: bool = False

    def refuses(self, demand: Demand) -> bool:
        """Whether the demand is none of this peer's business, which is no fault of anybody."""
        return self.is_node and not demand.node_owned

    def is_selected_by(self, demand: Demand) -> bool:
        """Whether the demand lets this peer hear it."""
        return not demand.peers or self.name in demand.peers or self.address in demand.peers


@dataclass(frozen=True, slots=True)
class Hearing:
    """What one peer, in one of its incarnations, hears; without the prefix."""

    next_hop: Address
    attributes: PathAttributes
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a demand that one peer (or, with "", every peer) does not hear or hears otherwise."""

    reason: ExclusionReason
    peer: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one demand: refused as a whole, or heard with some notes."""

    refusal: Finding | None = None
    notes: tuple[Finding, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say about it."""
        return self.refusal is None and not self.notes


@dataclass(frozen=True, slots=True)
class Distribution:
    """What the peers hear of prefixes that share a family and demands.

    Attributes:
        demands: the oldest first, none twice.
        hearings: by the names of the peers that hear something.
        fates: one for each demand, in their order.
        findings: for each demand, every peer by itself, for `explain`.
    """

    demands: tuple[Demand, ...]
    hearings: Mapping[str, Hearing]
    fates: tuple[Fate, ...]
    findings: tuple[tuple[Finding, ...], ...]

    def route(self, prefix: Prefix, peer: str) -> Route | None:
        """The route of `prefix` that `peer` should hear."""
        return route_of(prefix, self.hearings.get(peer))


def route_of(prefix: Prefix, hearing: Hearing | None) -> Route | None:
    """The route that a peer hears; None if it hears none."""
    return None if hearing is None else Route(prefix, hearing.next_hop, hearing.attributes)


NOWHERE = Distribution((), {}, (), ())


def terms_of(
    host: HostView, internal_ips: tuple[Address, ...], incarnations: Mapping[str, int]
) -> tuple[PeerTerms, ...]:
    """What the routes to each peer depend on, by name."""
    return tuple(
        PeerTerms(
            name=name,
            address=str(view.peer.address),
            is_ibgp=view.peer.is_ibgp,
            next_hops={
                family: next_hop(family, host, view, internal_ips) for family in sorted(_families(view))
            },
            incarnation=incarnations.get(name, 0),
            is_node=bool(view.peer.node),
        )
        for name, view in sorted(host.peers.items())
    )


def _families(view: PeerView) -> frozenset[Family]:
    """What the session carries; before it is established, what we would offer."""
    return view.peer.families if view.facts is None else view.facts.families


class Exporter:
    """Distributions for one set of peers; keeps those it has computed.

    Args:
        terms: the peers.
    """

    def __init__(self, terms: tuple[PeerTerms, ...]) -> None:
        self.terms = terms
        self._known: dict[tuple[Family, tuple[Demand, ...]], Distribution] = {}
        # Whether some of them were let go since.
        self._has_forgotten = False
        self.took_over_all = False
        """Whether all that its predecessor had computed stands: what any prefix comes to is as it was."""

    def successor(self, terms: tuple[PeerTerms, ...]) -> "Exporter":
        """The one for other terms; what it would compute alike it takes over, as the same object.

        A session that went and came back changes what the other family might hear, and nothing else: the
        prefixes of a distribution that is taken over need not be looked at.
        """
        made = Exporter(terms)
        if len(self._known) > _COMPARED_LIMIT:
            return made
        for (family, demands), known in self._known.items():
            if made._compute(family, demands) == known:
                made._known[family, demands] = known
        made.took_over_all = len(made._known) == len(self._known) and not self._has_forgotten
        return made

    def keeps(self, distribution: Distribution) -> bool:
        """Whether what stands is what it would compute."""
        return distribution is NOWHERE or any(distribution is each for each in self._known.values())

    def distribute(self, family: Family, demands: tuple[Demand, ...]) -> Distribution:
        """What the peers hear of prefixes of `family` with `demands`, the oldest first, none twice."""
        key = (family, demands)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
                self._has_forgotten = True
            found = self._known[key] = self._compute(family, demands)
        return found

    def _compute(self, family: Family, demands: tuple[Demand, ...]) -> Distribution:
        hearings: dict[str, Hearing] = {}
        findings: list[list[Finding]] = [[] for _ in demands]
        for peer in self.terms:
            hearing = _hear(peer, family, demands, findings)
            if hearing is not None:
                hearings[peer.name] = hearing
        fates = tuple(
            _fate(each, hears=_is_heard(self.terms, family, demand))
            for each, demand in zip(findings, demands, strict=True)
        )
        return Distribution(demands, hearings, fates, tuple(map(tuple, findings)))


_COMPARED_LIMIT = 200
"""Beyond so many, looking which of them stay as they were costs more in one turn than it may."""

_KNOWN_LIMIT = 100_000
"""Every object could carry attributes of its own; the memory of them is bounded."""


def _hear(
    peer: PeerTerms, family: Family, demands: tuple[Demand, ...], findings: list[list[Finding]]
) -> Hearing | None:
    """What one peer hears; adds to each demand's findings what it does not."""
    carried = family in peer.next_hops
    hop = peer.next_hops.get(family)
    heard: Hearing | None = None
    chosen: Demand | None = None
    for demand, found in zip(demands, findings, strict=True):
        if peer.refuses(demand):
            found.append(Finding(ExclusionReason.NODE_PEERS_ONLY, peer.name))
        elif not carried:
            detail = f"the session with this peer does not carry {family}"
            found.append(Finding(ExclusionReason.NO_PEER_FOR_FAMILY, peer.name, detail))
        elif not peer.is_selected_by(demand):
            found.append(Finding(ExclusionReason.PEER_NOT_SELECTED, peer.name))
        elif hop is None:
            found.append(Finding(ExclusionReason.NO_NEXT_HOP_FOR_FAMILY, peer.name))
        elif chosen is None:
            chosen = demand
            attributes, lost = _applicable(demand.attributes, is_ibgp=peer.is_ibgp)
            heard = Hearing(hop, attributes, peer.incarnation)
            found.extend(Finding(ExclusionReason.ATTRIBUTE_NOT_APPLICABLE, peer.name, each) for each in lost)
        elif demand.attributes != chosen.attributes:
            found.append(Finding(ExclusionReason.ATTRIBUTE_CONFLICT, peer.name))
    return heard


def _applicable(attributes: PathAttributes, *, is_ibgp: bool) -> tuple[PathAttributes, list[str]]:
    """The attributes as this kind of peer takes them, and what is lost."""
    lost: list[str] = []
    if is_ibgp and attributes.as_path_prepend:
        # RFC 4271 §5.1.2 (a): the AS_PATH is not modified toward an internal peer.
        attributes = replace(attributes, as_path_prepend=0)
        lost.append("as-path-prepend is for eBGP")
    if not is_ibgp and attributes.local_preference is not None:
        # RFC 4271 §5.1.5: LOCAL_PREF must not be sent to external peers.
        attributes = replace(attributes, local_preference=None)
        lost.append("local-preference is for iBGP")
    return attributes, lost


def _is_heard(terms: Iterable[PeerTerms], family: Family, demand: Demand) -> bool:
    """Whether any peer that the demand selects can hear a prefix of the family."""
    return any(
        peer.next_hops.get(family) is not None and not peer.refuses(demand) and peer.is_selected_by(demand)
        for peer in terms
    )


_WHY_UNHEARD = (
    ExclusionReason.NO_NEXT_HOP_FOR_FAMILY,
    ExclusionReason.PEER_NOT_SELECTED,
    ExclusionReason.NO_PEER_FOR_FAMILY,
    ExclusionReason.NODE_PEERS_ONLY,
)
"""The nearer to being heard a peer came, the more its reason explains."""

_WORTH_A_NOTE = frozenset(
    {
        ExclusionReason.NO_NEXT_HOP_FOR_FAMILY,
        ExclusionReason.ATTRIBUTE_NOT_APPLICABLE,
        ExclusionReason.ATTRIBUTE_CONFLICT,
    }
)
"""That a peer is not named in bgp-peers or carries the other family only is as it was asked."""


def _fate(findings: list[Finding], *, hears: bool) -> Fate:
    if not hears:
        reasons = {each.reason for each in findings}
        reason = next((each for each in _WHY_UNHEARD if each in reasons), ExclusionReason.NO_PEER_FOR_FAMILY)
        return Fate(refusal=_summed(reason, [each for each in findings if each.reason is reason]))
    noted = sorted((each for each in findings if each.reason in _WORTH_A_NOTE), key=lambda each: each.reason)
    groups = groupby(noted, key=lambda each: each.reason)
    return Fate(notes=tuple(_summed(reason, list(group)) for reason, group in groups))


def _summed(reason: ExclusionReason, findings: list[Finding]) -> Finding:
    """One finding for all the peers, so that 50 peers do not make 50 reports of each prefix."""
    details = "; ".join(dict.fromkeys(each.detail for each in findings if each.detail))
    if len(findings) == 1:
        return Finding(reason, findings[0].peer, details)
    names = sorted({each.peer for each in findings})
    shown = ", ".join(names[:NAMED_PEERS])
    rest = f" and {len(names) - NAMED_PEERS} more" if len(names) > NAMED_PEERS else ""
    return Finding(reason, "", "; ".join(part for part in (details, shown + rest) if part))
