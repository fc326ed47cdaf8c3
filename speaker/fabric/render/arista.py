"""The router's side for Arista EOS, as `copy terminal: running-config` or a configlet takes it.

Knows the words of EOS from 4.26 on, with the multi-agent routing model (`neighbor GROUP peer group`).
EOS names an interface, not an address, where its sessions begin: that is left to the router.
"""

from collections.abc import Iterator

from speaker.fabric.render.names import password_place, password_variable, plain
from speaker.fabric.render.side import MAXIMUM_PATHS, STANDARD_PORT, Group, RouterSide, Terms
from speaker.model.prefix import Family

PREFIXES = {Family.IPV4: "KUBERNETES-IPV4", Family.IPV6: "KUBERNETES-IPV6"}
ROUTES = "KUBERNETES"


def render(side: RouterSide) -> str:
    """The text, with passwords as ${BGP_PASSWORD_...} for envsubst."""
    return "\n".join((*_head(side), *_policy(side), *_bgp(side))) + "\n"


def _head(side: RouterSide) -> Iterator[str]:
    yield "! The router's side of the BGPPeers, by speaker render-router."
    for ref in side.passwords:
        yield f"! {password_variable(ref)}: {password_place(ref)}; see envsubst(1)."
    for address in sorted({str(each.terms.address) for each in side.groups if each.terms.dialled_port}):
        yield f"! It calls Nodes: set neighbor ... update-source to the interface with {address}."
    for note in side.notes:
        yield f"! {note}."


def _policy(side: RouterSide) -> Iterator[str]:
    for number, prefix in enumerate(side.accepted_of(Family.IPV4), start=1):
        yield f"ip prefix-list {PREFIXES[Family.IPV4]} seq {number * 10} permit {prefix} le 32"
    if side.accepted_of(Family.IPV6):
        # EOS has the entries of an IPv6 list in a mode of its own.
        yield f"ipv6 prefix-list {PREFIXES[Family.IPV6]}"
        for number, prefix in enumerate(side.accepted_of(Family.IPV6), start=1):
            yield f"   seq {number * 10} permit {prefix} le 128"
        yield "!"
    for number, (family, word) in enumerate(((Family.IPV4, "ip"), (Family.IPV6, "ipv6")), start=1):
        if side.accepted_of(family):
            yield f"route-map {ROUTES} permit {number * 10}"
            yield f"   match {word} address prefix-list {PREFIXES[family]}"
            yield "!"


def _bgp(side: RouterSide) -> Iterator[str]:
    yield f"router bgp {side.as_number}"
    for port in sorted({group.terms.port for group in side.groups} - {STANDARD_PORT}):
        yield f"   bgp transport listen-port {port}"
    yield f"   maximum-paths {MAXIMUM_PATHS} ecmp {MAXIMUM_PATHS}"
    if any(group.terms.is_internal for group in side.groups):
        # Without it next-hop-self would count for reflected routes too, against RFC 4456 section 10.
        yield "   bgp route-reflector preserve-attributes"
    for group in side.groups:
        yield from (f"   {line}" for line in _group(group, side))
    for family in Family:
        yield "   !"
        yield f"   address-family {family}"
        yield from (f"      {line}" for line in _family(side, family))
    yield "!"


def _group(group: Group, side: RouterSide) -> Iterator[str]:
    name = f"neighbor {group.name}"
    yield f"{name} peer group"
    yield from (f"{name} {line}" for line in _settings(group.terms, side.max_prefixes))
    for member in group.members:
        yield f"neighbor {member.address} peer group {group.name}"
        yield f"neighbor {member.address} description {plain(member.node)}"
    for prefix in group.ranges:
        yield f"bgp listen range {prefix} peer-group {group.name} remote-as {group.terms.node_as}"


def _settings(terms: Terms, max_prefixes: int | None) -> Iterator[str]:
    yield f"remote-as {terms.node_as}"
    yield f"timers {terms.keepalive_seconds} {terms.hold_time_seconds}"
    if terms.dialled_port is None:
        yield "passive"
    elif terms.dialled_port != STANDARD_PORT:
        yield f"transport remote-port {terms.dialled_port}"
    if terms.password is not None:
        yield f"password 0 ${{{password_variable(terms.password)}}}"
    if terms.multihop_ttl is not None:
        yield f"ebgp-multihop {terms.multihop_ttl}"
    if terms.ttl_security_hops is not None:
        yield f"ttl maximum-hops {terms.ttl_security_hops}"
    if terms.is_internal:
        yield "route-reflector-client"
        yield "next-hop-self"
    if terms.bfd is not None:
        yield "bfd"
        # What a Node can take is what we may send, and the other way round.
        yield (
            f"bfd interval {terms.bfd.receive_milliseconds} min-rx {terms.bfd.transmit_milliseconds}"
            f" multiplier {terms.bfd.multiplier}"
        )
    yield "send-community standard large"
    # Where nothing is said EOS stops at 12000; 0 is any number.
    yield f"maximum-routes {0 if max_prefixes is None else max_prefixes}"


def _family(side: RouterSide, family: Family) -> Iterator[str]:
    for group in side.groups:
        name = f"neighbor {group.name}"
        if family not in group.terms.families:
            # EOS activates IPv4 unasked.
            yield f"no {name} activate"
            continue
        yield f"{name} activate"
        yield f"{name} route-map {ROUTES} in"
        yield f"{name} route-map {ROUTES} out"
        if group.terms.receives_paths:
            yield f"{name} additional-paths receive"
        if group.terms.sends_paths:
            yield f"{name} additional-paths send any"
        if group.terms.extended_next_hop and family is Family.IPV4:
            yield f"{name} next-hop address-family ipv6 originate"
