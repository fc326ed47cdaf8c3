"""The router's side for BIRD 2, as bird.conf or a file that it includes.

Knows the words of BIRD 2.0. Passwords are constants, defined in a file of their own that is included.
"""

from collections.abc import Iterator

from speaker.fabric.render.names import password_place, password_variable, plain
from speaker.fabric.render.side import MAXIMUM_PATHS, STANDARD_PORT, Group, Member, RouterSide, Terms
from speaker.model.peer import BfdTimers
from speaker.model.prefix import Family

PASSWORD_FILE = "kube-route-speaker-passwords.conf"  # noqa: S105 -- the name of a file
ROUTES = "kubernetes_routes"

_LENGTHS = {Family.IPV4: 32, Family.IPV6: 128}
_SETS = {Family.IPV4: "KUBERNETES_IPV4", Family.IPV6: "KUBERNETES_IPV6"}
_TYPES = {Family.IPV4: "NET_IP4", Family.IPV6: "NET_IP6"}


def render(side: RouterSide) -> str:
    """The text; passwords are constants out of `PASSWORD_FILE`."""
    parts = (_head(side), _passwords(side), () if side.sessions_only else _base(side), _filter(side))
    lines = [line for part in parts for line in part]
    for group in side.groups:
        lines += _group(group, side)
    return "\n".join(lines) + "\n"


def _head(side: RouterSide) -> Iterator[str]:
    yield "# The router's side of the BGPPeers, by speaker render-router."
    yield from (f"# {note}." for note in side.notes)


def _passwords(side: RouterSide) -> Iterator[str]:
    if not side.passwords:
        return
    yield "# It defines:"
    for ref in side.passwords:
        yield f'#   define {password_variable(ref)} = "...";  # {password_place(ref)}'
    yield f'include "{PASSWORD_FILE}";'


def _base(side: RouterSide) -> Iterator[str]:
    """What a router has once; --sessions-only leaves it to the rest of its configuration."""
    if side.router_id is not None:
        yield f"router id {side.router_id};"
    yield "protocol device { }"
    yield "protocol direct { ipv4; ipv6; }"
    for family in side.families:
        yield f"protocol kernel kernel_{family} {{"
        yield f"  {family} {{ import none; export where source = RTS_BGP; }};"
        yield f"  merge paths on limit {MAXIMUM_PATHS};"
        yield "}"
    if any(group.terms.bfd is not None for group in side.groups):
        yield "protocol bfd { }"


def _filter(side: RouterSide) -> Iterator[str]:
    families = [family for family in Family if side.accepted_of(family)]
    for family in families:
        yield f"define {_SETS[family]} = ["
        ranges = [
            f"  {prefix}{{{prefix.prefixlen},{_LENGTHS[family]}}}" for prefix in side.accepted_of(family)
        ]
        yield ",\n".join(ranges)
        yield "];"
    yield f"filter {ROUTES} {{"
    for family in families:
        yield f"  if net.type = {_TYPES[family]} && net ~ {_SETS[family]} then accept;"
    yield "  reject;"
    yield "}"


def _group(group: Group, side: RouterSide) -> Iterator[str]:
    terms = group.terms
    port = "" if terms.port == STANDARD_PORT else f" port {terms.port}"
    yield f"template bgp '{group.name}' {{"
    yield f"  local {terms.address}{port} as {terms.router_as};"
    yield from (f"  {line};" for line in _settings(terms))
    for family in terms.families:
        yield f"  {family} {{"
        yield from (f"    {line};" for line in _channel(terms, family, side))
        yield "  };"
    yield "}"
    for member in group.members:
        yield from _member(group, member)
    for number, prefix in enumerate(group.ranges, start=1):
        yield f"protocol bgp '{group.name}-r{number}' from '{group.name}' {{"
        yield f"  neighbor range {prefix} as {terms.node_as};"
        yield f'  dynamic name "{_of_range(group, number)}";'
        yield "}"


def _of_range(group: Group, number: int) -> str:
    return f"{''.join(each if each.isalnum() else '_' for each in group.name)[:48]}_{number}_"


def _member(group: Group, member: Member) -> Iterator[str]:
    terms = group.terms
    family = "ipv4" if member.address.version == 4 else "ipv6"
    port = "" if terms.dialled_port in {None, STANDARD_PORT} else f" port {terms.dialled_port}"
    yield f"protocol bgp '{plain(member.node)}-{family}' from '{group.name}' {{"
    yield f'  description "{plain(member.node)}";'
    yield f"  neighbor {member.address}{port} as {terms.node_as};"
    yield "}"


def _settings(terms: Terms) -> Iterator[str]:
    if terms.dialled_port is None:
        yield "passive on"
    yield f"hold time {terms.hold_time_seconds}"
    if terms.keepalive_seconds:
        yield f"keepalive time {terms.keepalive_seconds}"
    # By itself it refuses a Node for minutes after an error.
    yield "error wait time 1, 30"
    yield from _distance(terms)
    if terms.password is not None:
        yield f"password {password_variable(terms.password)}"
    yield "graceful restart aware"
    if terms.bfd is not None:
        yield f"bfd {{ {_bfd(terms.bfd)} }}"
    if terms.is_internal:
        yield "rr client"


def _distance(terms: Terms) -> Iterator[str]:
    hops = terms.ttl_security_hops
    if hops is not None:
        yield "ttl security on"
        yield "direct" if hops == 1 else f"multihop {hops}"
    elif terms.multihop_ttl is not None:
        yield f"multihop {terms.multihop_ttl}"


def _bfd(timers: BfdTimers) -> str:
    # What a Node can take is what we may send, and the other way round.
    return (
        f"min rx interval {timers.transmit_milliseconds} ms;"
        f" min tx interval {timers.receive_milliseconds} ms; multiplier {timers.multiplier};"
    )


def _channel(terms: Terms, family: Family, side: RouterSide) -> Iterator[str]:
    yield f"import filter {ROUTES}"
    yield f"export filter {ROUTES}"
    if side.max_prefixes is not None:
        yield f"receive limit {side.max_prefixes} action restart"
    if terms.is_internal:
        # What is reflected keeps its next hop (RFC 4456 section 10).
        yield "next hop self ebgp"
    own = side.next_hop(family)
    if terms.address.version != (4 if family is Family.IPV4 else 6) and own is not None:
        yield f"next hop address {own}"
    if terms.extended_next_hop and family is Family.IPV4:
        yield "extended next hop on"
    if terms.sends_paths or terms.receives_paths:
        both = terms.sends_paths and terms.receives_paths
        yield f"add paths {'on' if both else 'tx' if terms.sends_paths else 'rx'}"
