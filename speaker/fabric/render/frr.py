"""The router's side for FRR, as vtysh and frr.conf take it.

Knows the words of FRR from 8.4 on. Lines that FRR follows by itself are left out: it helps a restarting
peer, receives additional paths and takes a range as passive without being told.
"""

from collections.abc import Iterator

from speaker.fabric.render.names import password_place, password_variable, plain
from speaker.fabric.render.side import MAXIMUM_PATHS, STANDARD_PORT, Group, RouterSide, Terms
from speaker.model.peer import BfdTimers
from speaker.model.prefix import Family

PREFIXES = {Family.IPV4: "KUBERNETES-IPV4", Family.IPV6: "KUBERNETES-IPV6"}
ROUTES = "KUBERNETES"

MOST_CALLERS = 5000
"""What `bgp listen limit` permits; without it a hundred Nodes may call."""

_LENGTHS = {Family.IPV4: 32, Family.IPV6: 128}
_WORDS = {Family.IPV4: "ip", Family.IPV6: "ipv6"}


def render(side: RouterSide) -> str:
    """The text, with passwords as ${BGP_PASSWORD_...} for envsubst."""
    return "\n".join((*_head(side), *_policy(side), *_bgp(side), *_bfd(side))) + "\n"


def _head(side: RouterSide) -> Iterator[str]:
    yield "! The router's side of the BGPPeers, by speaker render-router."
    for ref in side.passwords:
        yield f"! {password_variable(ref)}: {password_place(ref)}; see envsubst(1)."
    for port in sorted({group.terms.port for group in side.groups} - {STANDARD_PORT}):
        yield f"! The Nodes call port {port}: bgpd is to be started with --bgp_port {port}."
    for note in side.notes:
        yield f"! {note}."


def _bfd(side: RouterSide) -> Iterator[str]:
    profiles = sorted({each.terms.bfd for each in side.groups if each.terms.bfd is not None}, key=_profile)
    if not profiles:
        return
    # Last: a bgpd with a file of its own leaves `router bgp` at the first line that is not for it.
    yield "bfd"
    for timers in profiles:
        yield f" profile {_profile(timers)}"
        yield f"  detect-multiplier {timers.multiplier}"
        # What a Node can take is what we may send, and the other way round.
        yield f"  receive-interval {timers.transmit_milliseconds}"
        yield f"  transmit-interval {timers.receive_milliseconds}"
        yield " exit"
    yield "exit"


def _profile(timers: BfdTimers) -> str:
    return f"kubernetes-{timers.transmit_milliseconds}-{timers.receive_milliseconds}-{timers.multiplier}"


def _policy(side: RouterSide) -> Iterator[str]:
    """RFC 8212: a session with another AS carries nothing without a policy in each direction."""
    for family in Family:
        word, name = _WORDS[family], PREFIXES[family]
        for prefix in side.accepted_of(family):
            # Unnumbered: what comes between changes no other line, and what is there is not added again.
            yield f"{word} prefix-list {name} permit {prefix} le {_LENGTHS[family]}"
    for number, family in enumerate(Family, start=1):
        if side.accepted_of(family):
            yield f"route-map {ROUTES} permit {number * 10}"
            yield f" match {_WORDS[family]} address prefix-list {PREFIXES[family]}"
            yield "exit"


def _bgp(side: RouterSide) -> Iterator[str]:
    yield f"router bgp {side.as_number}"
    if side.has_many_as_numbers:
        yield " bgp bestpath as-path multipath-relax"
    for group in side.groups:
        yield from (f" {line}" for line in _group(group))
    if any(group.ranges for group in side.groups):
        yield f" bgp listen limit {MOST_CALLERS}"
    for family in Family:
        yield f" address-family {family} unicast"
        yield from (f"  {line}" for line in _family(side, family))
        yield " exit-address-family"
    yield "exit"


def _group(group: Group) -> Iterator[str]:
    name = f"neighbor {group.name}"
    yield f"{name} peer-group"
    yield from (f"{name} {line}" for line in _settings(group.terms))
    for member in group.members:
        yield f"neighbor {member.address} peer-group {group.name}"
        yield f"neighbor {member.address} description {plain(member.node)}"
        if group.terms.dialled_port not in {None, STANDARD_PORT}:
            # A group does not hand its port down.
            yield f"neighbor {member.address} port {group.terms.dialled_port}"
    for prefix in group.ranges:
        yield f"bgp listen range {prefix} peer-group {group.name}"


def _settings(terms: Terms) -> Iterator[str]:
    yield f"remote-as {terms.node_as}"
    yield f"update-source {terms.address}"
    yield f"timers {terms.keepalive_seconds} {terms.hold_time_seconds}"
    if terms.dialled_port is None:
        yield "passive"
    if terms.password is not None:
        yield f"password ${{{password_variable(terms.password)}}}"
    if terms.multihop_ttl is not None:
        yield f"ebgp-multihop {terms.multihop_ttl}"
    if terms.ttl_security_hops is not None:
        yield f"ttl-security hops {terms.ttl_security_hops}"
    if terms.extended_next_hop:
        yield "capability extended-nexthop"
    if terms.bfd is not None:
        yield "bfd"
        yield f"bfd profile {_profile(terms.bfd)}"


def _family(side: RouterSide, family: Family) -> Iterator[str]:
    active = [group for group in side.groups if family in group.terms.families]
    if active:
        yield f"maximum-paths {MAXIMUM_PATHS}"
        yield f"maximum-paths ibgp {MAXIMUM_PATHS}"
    for group in side.groups:
        name = f"neighbor {group.name}"
        if group not in active:
            # FRR activates IPv4 unasked.
            yield f"no {name} activate"
            continue
        yield f"{name} activate"
        yield from (f"{name} {line}" for line in _activated(group.terms, side.max_prefixes))


def _activated(terms: Terms, max_prefixes: int | None) -> Iterator[str]:
    if terms.is_internal:
        yield "route-reflector-client"
        # Of what other ASes tell; what is reflected keeps its next hop (RFC 4456 section 10).
        yield "next-hop-self"
    if terms.sends_paths:
        yield "addpath-tx-all-paths"
    if not terms.receives_paths:
        yield "disable-addpath-rx"
    yield f"route-map {ROUTES} in"
    yield f"route-map {ROUTES} out"
    if max_prefixes is not None:
        yield f"maximum-prefix {max_prefixes}"
