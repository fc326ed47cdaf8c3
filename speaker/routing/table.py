"""Prefixes: who asks for each, and what becomes of it.

A prefix with several claims stays as long as one of them does. `settle` decides one prefix: the guard,
the limits, then what the peers hear. Its answer depends on the claims, the rankings and the peers as
they are; it says which other prefixes and objects it may have moved.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from speaker.model.objects import ObjectRef
from speaker.model.policy import PublicationPolicy
from speaker.model.prefix import Prefix, family_of
from speaker.model.publication import Demand, ExclusionReason, Publication
from speaker.routing.export import NOWHERE, Distribution, Exporter, Fate, Finding, Hearing
from speaker.routing.guard import Guard
from speaker.routing.limits import Rank, Ranking, rank_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one prefix: a fate for each claim, the oldest first, and what the peers hear."""

    fates: tuple[Fate, ...]
    distribution: Distribution


class _Alone(NamedTuple):
    """A demand, and the verdict about every prefix that has no other."""

    demand: Demand
    verdict: Verdict
    is_plain: bool


_MOST_ALONE = 1000

UNCLAIMED = Verdict((), NOWHERE)

_NAMESPACE_LIMIT = Fate(Finding(ExclusionReason.PREFIX_LIMIT, detail="--max-prefixes-per-namespace"))
_TOTAL_LIMIT = Fate(Finding(ExclusionReason.PREFIX_LIMIT, detail="--max-advertised-prefixes"))


class Settled(NamedTuple):
    """The answer about one prefix.

    Attributes:
        before: the verdict that stood.
        after: the verdict that stands.
        prefixes: others whose limits it moved; they must be settled again.
    """

    before: Verdict
    after: Verdict
    prefixes: tuple[Prefix, ...]


class Table:
    """All prefixes that anybody asks for.

    Args:
        policy: the limits.
        guard: what is refused.
        exporter: what the peers hear.
    """

    def __init__(self, policy: PublicationPolicy, guard: Guard, exporter: Exporter) -> None:
        self.guard = guard
        self._exporter = exporter
        self._alone: dict[tuple[int, int], _Alone] = {}
        self._claims: dict[Prefix, tuple[Publication, ...]] = {}
        self._verdicts: dict[Prefix, Verdict] = {}
        self._total = Ranking(policy.max_advertised_prefixes)
        self._namespace_most = policy.max_prefixes_per_namespace
        self._has_limits = bool(policy.max_advertised_prefixes or policy.max_prefixes_per_namespace)
        self._namespaces: dict[str, Ranking] = {}
        self._ranked_in: dict[Prefix, frozenset[str]] = {}

    @property
    def exporter(self) -> Exporter:
        """What the peers hear."""
        return self._exporter

    @exporter.setter
    def exporter(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._alone.clear()

    def __iter__(self) -> Iterator[Prefix]:
        return iter(self._claims)

    def claims(self, prefix: Prefix) -> tuple[Publication, ...]:
        """Who asks for the prefix, the oldest first."""
        return self._claims.get(prefix, ())

    def verdict(self, prefix: Prefix) -> Verdict:
        """What became of the prefix when it was last settled."""
        return self._verdicts.get(prefix, UNCLAIMED)

    def hearings(self, prefix: Prefix) -> Mapping[str, Hearing]:
        """What the peers hear of the prefix, by the names of those that hear something."""
        return self._verdicts.get(prefix, UNCLAIMED).distribution.hearings

    def fate(self, publication: Publication) -> Fate:
        """What became of one claim, once its prefix has been settled."""
        claims = self._claims[publication.prefix]
        fates = self._verdicts[publication.prefix].fates
        if len(claims) == 1:
            return fates[0]
        return next(
            fate for claim, fate in zip(claims, fates, strict=True) if claim.source == publication.source
        )

    def findings(self, publication: Publication) -> tuple[Finding, ...]:
        """The peers that do not hear one claim or hear it otherwise, each by itself.

        Other nodes, which hear nothing but what this one owns, are not named: nobody expects them to.
        """
        distribution = self.verdict(publication.prefix).distribution
        found = zip(distribution.demands, distribution.findings, strict=True)
        findings = next((findings for each, findings in found if each == publication.demand), ())
        return tuple(each for each in findings if each.reason is not ExclusionReason.NODE_PEERS_ONLY)

    def unlike_exporter(self) -> list[Prefix]:
        """The prefixes whose peers may hear something else than when they were last settled."""
        kept: dict[int, bool] = {}
        found = []
        for prefix in self._claims:
            distribution = self.verdict(prefix).distribution
            # By identity: prefixes by the thousand share a few, and comparing one looks at every peer.
            keeps = kept.get(id(distribution))
            if keeps is None:
                keeps = kept[id(distribution)] = self.exporter.keeps(distribution)
            if not keeps or prefix not in self._verdicts:
                found.append(prefix)
        return found

    def distributions(self) -> Iterator[tuple[Prefix, Distribution]]:
        """Every settled prefix with what the peers hear of it."""
        return ((prefix, verdict.distribution) for prefix, verdict in self._verdicts.items())

    def claim(
        self, ref: ObjectRef, before: tuple[Publication, ...], after: tuple[Publication, ...]
    ) -> list[Prefix]:
        """Replace the claims of one object, each a prefix of its own; returns the prefixes to settle."""
        kept = [each.prefix for each in after]
        gone = [each.prefix for each in before if each.prefix not in kept]
        for prefix in gone:
            self._set_claims(prefix, self._claims_of_others(prefix, ref))
        new = [each for each in after if each not in before]
        for each in new:
            others = self._claims_of_others(each.prefix, ref)
            if others:
                self._set_claims(each.prefix, tuple(sorted((*others, each), key=rank_of)))
            else:
                # Nearly all objects have one prefix, and nearly all prefixes one object.
                self._claims[each.prefix] = after if len(after) == 1 else (each,)
        return gone + [each.prefix for each in new]

    def publish_alone(self, publications: tuple[Publication, ...]) -> Mapping[str, Hearing] | None:
        """Claim and settle the only prefix of an object, as `claim` and `settle` would, in one step.

        Only where nothing else has a say: nobody else asks for the prefix, there are no limits, and it is
        heard as it is asked. Otherwise does nothing and returns None.

        Returns:
            What the peers hear.
        """
        publication = publications[0]
        prefix = publication.prefix
        if prefix in self._claims or self._has_limits or self.guard.refuse(prefix) is not None:
            return None
        alone = self._distributed_alone(prefix, publication.demand)
        if not alone.is_plain:
            return None
        self._claims[prefix] = publications
        self._verdicts[prefix] = alone.verdict
        return alone.verdict.distribution.hearings

    def _claims_of_others(self, prefix: Prefix, ref: ObjectRef) -> tuple[Publication, ...]:
        claims = self._claims.get(prefix)
        return () if claims is None else tuple(each for each in claims if each.source != ref)

    def _set_claims(self, prefix: Prefix, claims: tuple[Publication, ...]) -> None:
        if claims:
            self._claims[prefix] = claims
        else:
            self._claims.pop(prefix, None)

    def settle(self, prefix: Prefix) -> Settled:
        """Decide one prefix as the claims, limits and peers now are."""
        claims = self._claims.get(prefix, ())
        before = self._verdicts.get(prefix, UNCLAIMED)
        refusal = self.guard.refuse(prefix) if claims else None
        moved: list[Prefix] = []
        admitted = claims if refusal is None else ()
        if self._namespace_most:
            moved += self._place_in_namespaces(prefix, admitted)
            admitted = tuple(each for each in admitted if self._admits(prefix, each))
        if self._has_limits:
            moved += self._total.place(prefix, rank_of(admitted[0]) if admitted else None)
        if refusal is not None:
            fate = Fate(Finding(refusal.reason, detail=refusal.detail))
            after = Verdict((fate,) * len(claims), NOWHERE)
        elif admitted and not self._total.admits(prefix):
            after = Verdict(tuple(self._limited(prefix, each) for each in claims), NOWHERE)
        else:
            after = self._distributed(prefix, claims, admitted)
        if claims:
            self._verdicts[prefix] = after
        else:
            self._verdicts.pop(prefix, None)
        return Settled(before, after, tuple(moved))

    def _distributed(
        self, prefix: Prefix, claims: tuple[Publication, ...], admitted: tuple[Publication, ...]
    ) -> Verdict:
        if len(claims) == len(admitted) == 1:
            return self._distributed_alone(prefix, claims[0].demand).verdict
        demands = tuple(dict.fromkeys(each.demand for each in admitted))
        if not demands:
            return Verdict((_NAMESPACE_LIMIT,) * len(claims), NOWHERE)
        distribution = self._exporter.distribute(family_of(prefix), demands)
        if len(claims) == len(demands):
            return Verdict(distribution.fates, distribution)
        by_demand = dict(zip(demands, distribution.fates, strict=True))
        fates = tuple(
            by_demand[each.demand] if self._admits(prefix, each) else _NAMESPACE_LIMIT for each in claims
        )
        return Verdict(fates, distribution)

    def _distributed_alone(self, prefix: Prefix, demand: Demand) -> _Alone:
        """What becomes of a prefix that one object asks for: prefixes by the thousand share it.

        Looked up by identity, since hashing a demand costs more than all the rest of settling.
        """
        key = (id(demand), prefix.version)
        alone = self._alone.get(key)
        if alone is None:
            if len(self._alone) >= _MOST_ALONE:
                self._alone.clear()
            distribution = self._exporter.distribute(family_of(prefix), (demand,))
            # With the demand: identities hold as long as their objects live.
            verdict = Verdict(distribution.fates, distribution)
            alone = self._alone[key] = _Alone(demand, verdict, distribution.fates[0].is_plain)
        return alone

    def _limited(self, prefix: Prefix, claim: Publication) -> Fate:
        return _TOTAL_LIMIT if self._admits(prefix, claim) else _NAMESPACE_LIMIT

    def _admits(self, prefix: Prefix, claim: Publication) -> bool:
        """Whether the limit of the claim's namespace lets it through; cluster-scoped objects have none."""
        namespace = claim.source.namespace
        if not self._namespace_most or not namespace:
            return True
        ranking = self._namespaces.get(namespace)
        return ranking is not None and ranking.admits(prefix)

    def _place_in_namespaces(self, prefix: Prefix, claims: tuple[Publication, ...]) -> list[Prefix]:
        """Rank the prefix in each namespace that asks for it; returns the prefixes that this moves."""
        ranks: dict[str, Rank] = {}
        for claim in claims:
            if claim.source.namespace:
                ranks.setdefault(claim.source.namespace, rank_of(claim))
        moved: list[Prefix] = []
        for namespace in sorted(ranks.keys() | self._ranked_in.get(prefix, frozenset())):
            ranking = self._namespaces.setdefault(namespace, Ranking(self._namespace_most))
            moved += ranking.place(prefix, ranks.get(namespace))
            if not len(ranking):
                del self._namespaces[namespace]
        if ranks:
            self._ranked_in[prefix] = frozenset(ranks)
        else:
            self._ranked_in.pop(prefix, None)
        return moved
