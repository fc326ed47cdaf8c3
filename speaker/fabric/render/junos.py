"""The router's side for Junos, in curly brackets, as `load merge` takes it.

Knows the statements of Junos from 20.2 on. Junos sends KEEPALIVE at a third of the hold time, helps a
restarting peer unasked, and by itself tells a Node nothing that has the Node's AS number in it.
"""

from collections.abc import Iterable, Iterator

from speaker.fabric.render.names import password_place, password_variable, plain
from speaker.fabric.render.side import STANDARD_PORT, Group, RouterSide, Terms
from speaker.model.peer import BfdTimers
from speaker.model.prefix import Family

ROUTES = "KUBERNETES"
NEXT_HOP = "KUBERNETES-NEXT-HOP"
ECMP = "KUBERNETES-ECMP"

MOST_PATHS = 6
"""The greatest path-count that every Junos takes."""

_FAMILIES = {Family.IPV4: "inet", Family.IPV6: "inet6"}


def render(side: RouterSide) -> str:
    """The text, with passwords as ${BGP_PASSWORD_...} for envsubst."""
    return "\n".join((*_head(side), *_policies(side), *_routing_options(side), *_protocols(side))) + "\n"


def _head(side: RouterSide) -> Iterator[str]:
    yield "/* The router's side of the BGPPeers, by speaker render-router. */"
    for ref in side.passwords:
        yield f"/* {password_variable(ref)}: {password_place(ref)}; see envsubst(1). */"
    if _needs_cluster_id(side):
        yield "/* CLUSTER_ID: the router ID; see envsubst(1). */"
    for group in side.groups:
        yield from (f"/* {group.name}: {note} */" for note in _by_hand(group.terms))
    yield from (f"/* {note}. */" for note in side.notes)


def _by_hand(terms: Terms) -> Iterator[str]:
    if terms.ttl_security_hops is not None:
        least = 256 - terms.ttl_security_hops
        yield f"a firewall filter on lo0 has to refuse BGP with a TTL below {least} (RFC 5082)."
    if terms.port != STANDARD_PORT:
        yield f"the Nodes call port {terms.port}, and Junos listens on 179."
    if terms.dialled_port not in {None, STANDARD_PORT}:
        yield f"the Nodes listen on port {terms.dialled_port}, and Junos calls 179."


def _needs_cluster_id(side: RouterSide) -> bool:
    return side.router_id is None and any(group.terms.is_internal for group in side.groups)


def _block(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"{title} {{"
    yield from (f"    {line}" for line in lines)
    yield "}"


def _policies(side: RouterSide) -> Iterator[str]:
    yield from _block("policy-options", _policy_lines(side))


def _policy_lines(side: RouterSide) -> Iterator[str]:
    yield from _block(f"policy-statement {ROUTES}", _accepting(side))
    if any(group.terms.is_internal for group in side.groups):
        # Of what other ASes tell; what is reflected keeps its next hop (RFC 4456 section 10).
        external = ("from {", "    protocol bgp;", "    route-type external;", "}")
        yield from _block(
            f"policy-statement {NEXT_HOP}",
            _block("term external", (*external, "then {", "    next-hop self;", "}")),
        )
    yield from _block(f"policy-statement {ECMP}", ("then {", "    load-balance per-packet;", "}"))


def _accepting(side: RouterSide) -> Iterator[str]:
    for family in Family:
        accepted = side.accepted_of(family)
        if accepted:
            matches = (f"route-filter {prefix} orlonger;" for prefix in accepted)
            # Outward it speaks of what BGP brought: the router's own routes are not for the Nodes.
            conditions = (f"family {_FAMILIES[family]};", "protocol bgp;", *matches)
            yield from _block(f"term {family}", (*_block("from", conditions), "then accept;"))
    yield from _block("term rest", ("then reject;",))


def _routing_options(side: RouterSide) -> Iterator[str]:
    lines = (f"autonomous-system {side.as_number};", *_block("forwarding-table", (f"export {ECMP};",)))
    yield from _block("routing-options", lines)


def _protocols(side: RouterSide) -> Iterator[str]:
    groups = (line for group in side.groups for line in _block(f"group {group.name}", _group(group, side)))
    yield from _block("protocols", _block("bgp", groups))


def _group(group: Group, side: RouterSide) -> Iterator[str]:
    yield from _settings(group.terms, side)
    for prefix in group.ranges:
        yield f"allow {prefix};"
    for member in group.members:
        yield from _block(f"neighbor {member.address}", (f"description {plain(member.node)};",))


def _settings(terms: Terms, side: RouterSide) -> Iterator[str]:
    yield f"type {'internal' if terms.is_internal else 'external'};"
    yield f"local-address {terms.address};"
    if not terms.is_internal:
        yield f"peer-as {terms.node_as};"
    yield f"hold-time {terms.hold_time_seconds};"
    if terms.dialled_port is None:
        yield "passive;"
    if terms.password is not None:
        yield f'authentication-key "${{{password_variable(terms.password)}}}";'
    ttl = 255 if terms.ttl_security_hops is not None else terms.multihop_ttl
    if ttl is not None and not terms.is_internal:
        yield from _block("multihop", (f"ttl {ttl};",))
    if terms.is_internal:
        yield f"cluster {side.router_id or '${CLUSTER_ID}'};"
    elif terms.own_as_allowed:
        yield "advertise-peer-as;"
    if terms.bfd is not None:
        yield from _block("bfd-liveness-detection", _bfd(terms.bfd))
    yield "multipath multiple-as;" if side.has_many_as_numbers and not terms.is_internal else "multipath;"
    yield f"import {ROUTES};"
    yield f"export {f'[ {NEXT_HOP} {ROUTES} ]' if terms.is_internal else ROUTES};"
    for family in terms.families:
        details = list(_unicast(terms, family, side.max_prefixes))
        unicast = _block("unicast", details) if details else ("unicast;",)
        yield from _block(f"family {_FAMILIES[family]}", unicast)


def _bfd(timers: BfdTimers) -> Iterator[str]:
    # What a Node can take is what we may send, and the other way round.
    yield f"minimum-receive-interval {timers.transmit_milliseconds};"
    yield f"multiplier {timers.multiplier};"
    yield from _block("transmit-interval", (f"minimum-interval {timers.receive_milliseconds};",))


def _unicast(terms: Terms, family: Family, max_prefixes: int | None) -> Iterator[str]:
    if terms.sends_paths or terms.receives_paths:
        lines = ["receive;"] if terms.receives_paths else []
        if terms.sends_paths:
            lines += _block("send", (f"path-count {MOST_PATHS};",))
        yield from _block("add-path", lines)
    if terms.extended_next_hop and family is Family.IPV4:
        yield "extended-nexthop;"
    if max_prefixes is not None:
        yield from _block("prefix-limit", (f"maximum {max_prefixes};", "teardown;"))
