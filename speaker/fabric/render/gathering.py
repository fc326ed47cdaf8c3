"""Who peers with a router, and how: from the plan of the whole cluster to one router's side.

Every value is taken as the speakers take theirs. Must not know any format. Nodes of which all the same
holds are one group, so that a Node that joins adds a line or two.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from speaker.errors import UsageError
from speaker.fabric.design import Plan
from speaker.fabric.render.names import plain
from speaker.fabric.render.side import Asked, Group, Member, RouterSide, Terms
from speaker.fabric.sessions import router_peer
from speaker.model.fabric import BgpPeer, SourceAddress
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Family, Prefix, family_of, sort_key

NAMED = 5
"""How many names a sentence holds."""


@dataclass(slots=True)
class _Found:
    """Sessions while they are gathered."""

    members: dict[tuple[str, Terms], list[Member]] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    unaddressed: list[str] = field(default_factory=list)


def router_side(plan: Plan, pod_ranges: Iterable[Prefix], asked: Asked) -> RouterSide:
    """One router's side of the plan.

    Raises:
        UsageError: no BGPPeer leads to the router, they disagree about its AS number, or a range takes in
            Nodes that cannot be one group.
    """
    found = _Found()
    for address in sorted(asked.addresses, key=_address_key):
        for own in plan.whole.speakers:
            terms = plan.whole.routers(own).get(address)
            if terms is not None:
                _add(found, plan, own, address, terms, asked.as_number)
    if not found.members:
        raise UsageError("; ".join(_notes(found)) or _nobody(plan, asked))
    accepted = _outermost((*pod_ranges, *asked.accepted))
    if not accepted:
        raise UsageError("no Pod range of the cluster is known: name with --accept what Nodes may send")
    groups = _with_ranges(_groups(found.members), asked.ranges)
    return RouterSide(
        as_number=_one_as_number(found.members),
        addresses=tuple(sorted(asked.addresses, key=_address_key)),
        groups=groups,
        accepted=accepted,
        max_prefixes=asked.max_prefixes,
        sessions_only=asked.sessions_only,
        notes=(*_notes(found), *_loops(groups)),
    )


def _address_key(address: Address) -> tuple[int, int]:
    return address.version, int(address)


def _add(
    found: _Found, plan: Plan, own: str, address: Address, terms: BgpPeer, as_number: int | None
) -> None:
    whole = plan.whole
    configured = frozenset(family_of(each) for each in whole.routers(own))
    peer = router_peer(whole, own, address, terms, None, configured)
    if as_number not in {None, peer.asn}:
        return
    if peer.source is None:
        # What the kernel will choose is not known here; one address of a family leaves little choice.
        node = whole.speakers[own]
        likely = None if address.is_link_local else _of_family(node.addresses, family_of(address))
        if likely is None:
            found.unaddressed.append(own)
            return
        if terms.source_address is SourceAddress.NONE:
            found.guessed.append(own)
        peer = replace(peer, source=likely)
    key = (terms.name, _terms(peer, terms, whole.configuration.listen_port))
    source = peer.source
    if source is not None:
        found.members.setdefault(key, []).append(Member(own, source))


def _of_family(addresses: Iterable[Address], family: Family) -> Address | None:
    return next((each for each in addresses if family_of(each) is family), None)


def _terms(peer: Peer, terms: BgpPeer, listen_port: int) -> Terms:
    hold = peer.hold_time_seconds
    keepalive = peer.keepalive_seconds if peer.keepalive_seconds is not None else max(hold // 3, 1)
    multihop = peer.multihop_ttl if not peer.is_ibgp and peer.multihop_ttl > 1 else None
    return Terms(
        address=peer.address,
        port=peer.port,
        node_as=peer.local_asn,
        router_as=peer.asn,
        families=tuple(sorted(peer.families, key=list(Family).index)),
        password=terms.password,
        dialled_port=listen_port if peer.passive else None,
        hold_time_seconds=hold,
        keepalive_seconds=keepalive if hold else 0,
        multihop_ttl=multihop if peer.ttl_security_hops is None else None,
        ttl_security_hops=peer.ttl_security_hops,
        bfd=peer.bfd,
        extended_next_hop=peer.extended_next_hop,
        sends_paths=peer.add_path_receive,
        receives_paths=peer.add_path_send,
        own_as_allowed=peer.allowed_local_asns > 0,
    )


def _groups(members: Mapping[tuple[str, Terms], Sequence[Member]]) -> list[Group]:
    """Each with a name of its own; the same from one time to the next as long as its terms are."""
    groups: dict[str, Group] = {}
    for (peer, terms), nodes in members.items():
        family = "ipv6" if family_of(terms.address) is Family.IPV6 else "ipv4"
        base = plain(f"{peer}-as{terms.node_as}-{family}")
        name, number = base, 1
        while name in groups:
            number += 1
            name = f"{base}-{number}"
        groups[name] = Group(name=name, peer=peer, terms=terms, members=tuple(nodes))
    return [groups[name] for name in sorted(groups)]


def _with_ranges(groups: list[Group], ranges: Iterable[Prefix]) -> tuple[Group, ...]:
    """The groups, with Nodes in a range left out for the range in their place."""
    for prefix in sorted(ranges, key=sort_key):
        at = _group_of(groups, prefix)
        group = groups[at]
        if group.terms.dialled_port is not None:
            raise UsageError(
                f"--range={prefix}: the Nodes wait for the router (passive in BGPPeer {group.peer}),"
                " and a range cannot call them"
            )
        named = tuple(member for member in group.members if member.address not in prefix)
        groups[at] = replace(group, members=named, ranges=(*group.ranges, prefix))
    return tuple(groups)


def _group_of(groups: Sequence[Group], prefix: Prefix) -> int:
    family = family_of(prefix)
    alike = [at for at, group in enumerate(groups) if family_of(group.terms.address) is family]
    inside = [at for at in alike if any(member.address in prefix for member in groups[at].members)]
    candidates = inside or [at for at in alike if not groups[at].ranges] or alike
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise UsageError(f"--range={prefix}: no BGPPeer makes sessions over {family} with this router")
    names = ", ".join(groups[at].name for at in candidates[:NAMED])
    raise UsageError(
        f"--range={prefix}: not the same holds for all Nodes there ({names}): name a range for each"
    )


def _one_as_number(members: Iterable[tuple[str, Terms]]) -> int:
    numbers = sorted({terms.router_as for _, terms in members})
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers))
        raise UsageError(f"BGPPeers give the router different AS numbers ({listed}): choose one with --as")
    return numbers[0]


def _nobody(plan: Plan, asked: Asked) -> str:
    known = sorted(
        {(address, terms.as_number) for own in plan.whole.speakers
         for address, terms in plan.whole.routers(own).items()},
        key=lambda each: _address_key(each[0]),
    )  # fmt: skip
    wanted = ", ".join(map(str, asked.addresses))
    if asked.as_number is not None:
        wanted += f" in AS {asked.as_number}"
    if not known:
        return f"no BGPPeer leads from a Node to {wanted}: none leads to any router"
    listed = ", ".join(str(address) for address, _ in known[:NAMED])
    return f"no BGPPeer leads from a Node to {wanted}; those that do lead to {listed}"


def _notes(found: _Found) -> Iterator[str]:
    if found.unaddressed:
        yield (
            f"{_named(found.unaddressed)}: the address that they call from is not known here:"
            " add them by hand, or name their range with --range"
        )
    if found.guessed:
        yield (
            f"{_named(found.guessed)}: their kernel chooses the address that they call from"
            " (sourceAddress: None); their Node's own is written here"
        )


def _loops(groups: Iterable[Group]) -> Iterator[str]:
    """Nodes of one AS behind another hear their own AS number in each other's routes (RFC 4271 §9.1.2)."""
    for group in groups:
        terms = group.terms
        if not terms.is_internal and not terms.own_as_allowed and (len(group.members) > 1 or group.ranges):
            yield (
                f"The Nodes of AS {terms.node_as} refuse each other's routes when they come back through"
                f" AS {terms.router_as}: set numAllowedLocalASNumbers in BGPPeer"
                f" {plain(group.peer)}, or let the router replace their AS number"
            )


def _named(names: Iterable[str]) -> str:
    ordered = sorted({plain(name) for name in names})
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more


def _outermost(prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """Those that lie in no other, in order."""
    kept: list[Prefix] = []
    for prefix in sorted(set(prefixes), key=sort_key):
        last = kept[-1] if kept else None
        # In this order whatever contains a prefix stands before it, and nothing else between.
        if last is None or last.version != prefix.version or not prefix.subnet_of(last):  # type: ignore[arg-type]
            kept.append(prefix)
    return tuple(kept)
