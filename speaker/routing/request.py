"""What is asked for in the end: permissions and inheritance over the annotations of several objects.

Each key is looked up by itself along the precedence (Pod, Subnet, Namespace; Service, Namespace): the
nearest object that writes the key decides, so a Namespace can give its communities to a Pod that
asks to be published itself. Attribute keys of namespaced objects, which tenants write, count only as
`--allow-attributes` permits; Subnets, Namespaces and Nodes are the administrator's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from annotations.keys import keys_under
from annotations.parse import NOTHING_ASKED, PublishRequest, parse
from annotations.problems import bounded
from annotations.values import Communities, PublishPolicy, read_communities
from speaker.model.objects import Kind, Meta, ObjectRef
from speaker.model.policy import PublicationPolicy
from speaker.model.publication import NO_DEMAND, Demand, Exclusion, ExclusionReason
from speaker.model.route import PathAttributes

DETAIL_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Request:
    """One object's own request after permissions, with what is to be said about it."""

    ref: ObjectRef
    asks: PublishRequest = NOTHING_ASKED
    notes: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request after inheritance.

    Attributes:
        policy: CLUSTER or LOCAL.
        by: the kind of the object whose annotation asks.
        why: the same in words, "Pod annotated local".
        demand: the attributes and peers.
    """

    policy: PublishPolicy
    by: Kind
    why: str
    demand: Demand


SILENT = Request(ObjectRef(Kind.POD, "", ""))
"""That of every object that says nothing: nobody looks whose it is."""


def note(ref: ObjectRef, reason: ExclusionReason, detail: str) -> Exclusion:
    """A report about the whole object."""
    return Exclusion(source=ref, reason=reason, detail=bounded(detail, DETAIL_LIMIT))


def read_request(meta: Meta, policy: PublicationPolicy) -> Request:
    """The object's own request; what is not understood or not permitted is left out and noted."""
    if not meta.annotations:
        return SILENT
    asks, problems = parse(meta.annotations, policy.annotation_prefix)
    notes = [note(meta.ref, ExclusionReason.INVALID_ANNOTATION, each.sentence) for each in problems]
    if meta.ref.namespace and asks.has_attributes:
        asks, refused = _permitted(asks, policy)
        notes += [note(meta.ref, ExclusionReason.ATTRIBUTE_NOT_ALLOWED, each) for each in refused]
    return Request(meta.ref, asks, tuple(notes))


def inherit(requests: Iterable[Request]) -> Asked | None:
    """What the nearest of `requests` (the object's own first) asks; None when it is not published."""
    line = [each for each in requests if each.asks is not NOTHING_ASKED]
    for each in line:
        if each.asks.policy is not None:
            return _asked(each, line) if each.asks.policy is not PublishPolicy.OFF else None
    return None


def demand_of(asks: PublishRequest) -> Demand:
    """The attributes and peers that one request names."""
    if not asks.has_attributes:
        return NO_DEMAND
    communities = asks.communities or Communities()
    attributes = PathAttributes(
        communities=communities.standard,
        large_communities=communities.large,
        extended_communities=communities.extended,
        med=asks.med,
        local_preference=asks.local_preference,
        as_path_prepend=asks.as_path_prepend or 0,
    )
    return _interned(Demand(attributes, asks.peers or ()))


@lru_cache(maxsize=4096)
def node_owned(demand: Demand) -> Demand:
    """The same of a prefix that this node alone owns."""
    return replace(demand, node_owned=True)


@lru_cache(maxsize=4096)
def _interned(demand: Demand) -> Demand:
    """Equal demands of many objects share one value."""
    return demand


def _asked(by: Request, line: list[Request]) -> Asked:
    merged = line[0].asks
    for each in line[1:]:
        merged = _under(merged, each.asks)
    policy = by.asks.policy or PublishPolicy.OFF
    return Asked(policy, by.ref.kind, _why(by.ref, policy), demand_of(merged))


def _why(ref: ObjectRef, policy: PublishPolicy) -> str:
    return _why_by_kind(ref.kind, policy) if ref.namespace else f"{ref} annotated {policy}"


@lru_cache(maxsize=64)
def _why_by_kind(kind: Kind, policy: PublishPolicy) -> str:
    """One text for all objects of a kind."""
    return f"{kind} annotated {policy}"


def _under(nearer: PublishRequest, farther: PublishRequest) -> PublishRequest:
    """`nearer` with the attribute keys that only `farther` writes."""
    return replace(
        nearer,
        communities=farther.communities if nearer.communities is None else nearer.communities,
        med=farther.med if nearer.med is None else nearer.med,
        local_preference=(
            farther.local_preference if nearer.local_preference is None else nearer.local_preference
        ),
        as_path_prepend=(
            farther.as_path_prepend if nearer.as_path_prepend is None else nearer.as_path_prepend
        ),
        peers=farther.peers if nearer.peers is None else nearer.peers,
    )


def _permitted(asks: PublishRequest, policy: PublicationPolicy) -> tuple[PublishRequest, list[str]]:
    """The request without what tenants may not set, and a sentence for each such thing."""
    keys = keys_under(policy.annotation_prefix)
    allowed = policy.allow_attributes
    refused: list[str] = []
    taken: Mapping[str, tuple[str, object]] = {
        "communities": (keys.communities, asks.communities),
        "med": (keys.med, asks.med),
        "local-preference": (keys.local_preference, asks.local_preference),
        "as-path-prepend": (keys.as_path_prepend, asks.as_path_prepend),
        "peers": (keys.peers, asks.peers),
    }
    for name, (key, value) in taken.items():
        if value is not None and name not in allowed:
            refused.append(f"{key} needs --allow-attributes={name}")
    kept = replace(
        asks,
        communities=asks.communities if "communities" in allowed else None,
        med=asks.med if "med" in allowed else None,
        local_preference=asks.local_preference if "local-preference" in allowed else None,
        as_path_prepend=asks.as_path_prepend if "as-path-prepend" in allowed else None,
        peers=asks.peers if "peers" in allowed else None,
    )
    if kept.communities is not None and policy.allowed_communities:
        permitted = _allowed_communities(policy.allowed_communities)
        strange = kept.communities.without(permitted)
        # A list of which nothing is left is as good as not written: the parent's counts.
        kept = replace(kept, communities=kept.communities.only(permitted) or None)
        if strange:
            refused.append(f"{keys.communities}: not in --allowed-community: {', '.join(strange)}")
    return kept, refused


@lru_cache(maxsize=16)
def _allowed_communities(texts: tuple[str, ...]) -> Communities:
    """What `--allowed-community` permits."""
    read = [found for text in texts if (found := read_communities(text)) is not None]
    return Communities(
        tuple(each for found in read for each in found.standard),
        tuple(each for found in read for each in found.large),
        tuple(each for found in read for each in found.extended),
    )
