"""A router's configuration in BIRD 2's words."""

from collections.abc import Iterator

from speaker.model.peer import Role
from speaker.model.prefix import Family, family_of
from tests.lab.routers.config import Neighbor, Originated, RouterConfig, StaticRoute

_ROLES = {Role.ROUTE_SERVER: "rs_server", Role.ROUTE_SERVER_CLIENT: "rs_client"}

# BIRD has RFC 4360's route origin under another name than most.
_SUBTYPES = {"soo": "ro"}


# The name of the protocols with routes that no peer is told.
_STATIC = "underlay"


def render(config: RouterConfig) -> str:
    """The text of bird.conf."""
    return "\n".join(_lines(config)) + "\n"


def _lines(config: RouterConfig) -> Iterator[str]:
    yield "log stderr all;"
    yield f"router id {config.router_id};"
    yield "protocol device { scan time 10; }"
    yield "protocol direct { ipv4; ipv6; }"
    for family in Family:
        # Only what BGP brought, and what else is behind routers: the rest is the kernel's own already.
        export = f'import none; export where source = RTS_BGP || proto = "{_STATIC}_{family}";'
        # After a restart it leaves what it finds there until its peers have told it all.
        restart = " graceful restart on;" if config.restarts_gracefully else ""
        merge = f"merge paths on limit {config.max_paths};"
        yield f"protocol kernel {{ {family} {{ {export} }}; {merge}{restart} }}"
        statics = [_static(each) for each in config.static_routes if family_of(each.prefix) is family]
        if statics:
            yield f"protocol static {_STATIC}_{family} {{ {family}; check link yes; {' '.join(statics)} }}"
        routes = [_route(each) for each in config.originated if family_of(each.prefix) is family]
        if routes:
            yield f"protocol static originate_{family} {{ {family}; {' '.join(routes)} }}"
    if any(each.bfd for each in config.neighbors):
        timers = "min rx interval 100 ms; min tx interval 100 ms; multiplier 3;"
        distant = " multihop { };" if any(each.bfd and each.multihop for each in config.neighbors) else ""
        accept = "accept;" if distant else "accept direct;"
        yield f'protocol bfd {{ interface "*" {{ {timers} }};{distant} {accept} }}'
    for number, each in enumerate(config.neighbors):
        yield from _protocol(number, each, config)


def _route(each: Originated) -> str:
    attributes = [f"bgp_community.add(({_tuple(text)}));" for text in each.communities]
    attributes += [f"bgp_large_community.add(({_tuple(text)}));" for text in each.large_communities]
    for text in each.ext_communities:
        subtype, _, value = text.partition(":")
        attributes.append(f"bgp_ext_community.add(({_SUBTYPES.get(subtype, subtype)}, {_tuple(value)}));")
    block = f" {{ {' '.join(attributes)} }}" if attributes else ""
    return f"route {each.prefix} blackhole{block};"


def _static(each: StaticRoute) -> str:
    return f"route {each.prefix} {' '.join(f'via {gateway}' for gateway in each.gateways)};"


def _tuple(text: str) -> str:
    return text.replace(":", ", ")


def _protocol(number: int, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    yield f"protocol bgp peer{number} {{"
    local = f" {each.local_address}" if each.local_address else ""
    if not local and len(config.listen) == 1:
        local = f" {config.listen[0]}"
    yield f"  local{local} port {config.port} as {config.asn};"
    remote = "range " if each.is_range else ""
    port = f" port {each.port}" if each.port else ""
    yield f"  neighbor {remote}{each.unscoped}{port} as {each.asn};"
    if each.is_range:
        yield f'  dynamic name "peer{number}_";'
    # BIRD knows no time of 0 between KEEPALIVEs: that follows from a hold time of 0.
    yield f"  hold time {config.hold_seconds}; keepalive time {max(config.keepalive_seconds, 1)};"
    # The defaults, minutes, outlast any test.
    yield "  error wait time 1,3; connect delay time 1; connect retry time 2;"
    restart = f"on; graceful restart time {config.restart_seconds}" if config.graceful_restart else "off"
    yield f"  graceful restart {restart};"
    yield from (f"  {line};" for line in (*_options(each, config), *_capabilities(each, config)))
    channel = _channel(each, config)
    for family in config.families_of(each):
        extended = " extended next hop on;" if each.extended_next_hop and family is Family.IPV4 else ""
        yield f"  {family} {{ {channel}{extended} }};"
    yield "}"


def _channel(each: Neighbor, config: RouterConfig) -> str:
    channel = f'import all; export where source = RTS_BGP || (source = RTS_STATIC && proto !~ "{_STATIC}_*");'
    if config.honour_graceful_shutdown:
        lower = "if (65535, 0) ~ bgp_community then bgp_local_pref = 0;"
        channel = channel.replace("import all;", f"import filter {{ {lower} accept; }};")
    if config.next_hop_self:
        channel += " next hop self ebgp;"
    if each.add_path_rx or each.add_path_tx:
        channel += f" add paths {'on' if each.add_path_rx and each.add_path_tx else _direction(each)};"
    if each.max_prefixes is not None:
        channel += f" receive limit {each.max_prefixes} action disable;"
    return channel


def _direction(each: Neighbor) -> str:
    return "rx" if each.add_path_rx else "tx"


def _options(each: Neighbor, config: RouterConfig) -> Iterator[str]:
    if each.device:
        yield f'interface "{each.device}"'
    if each.passive:
        yield "passive on"
    if each.password is not None:
        yield f'password "{each.password}"'
    if each.ttl_security:
        yield "ttl security on"
    if each.multihop:
        yield "multihop"
    if each.bfd:
        yield from _bfd(each)
    if config.listen:
        yield "strict bind on"
    if each.rr_client:
        yield "rr client"
        if config.cluster_id:
            yield f"rr cluster id {config.cluster_id}"


def _bfd(each: Neighbor) -> Iterator[str]:
    if (each.bfd_milliseconds, each.bfd_multiplier, each.multihop) == (100, 3, False):
        yield "bfd graceful" if each.bfd_graceful else "bfd on"
        return
    graceful = "graceful; " if each.bfd_graceful else ""
    yield f"bfd {{ {graceful}interval {each.bfd_milliseconds} ms; multiplier {each.bfd_multiplier}; }}"


def _capabilities(each: Neighbor, config: RouterConfig) -> Iterator[str]:
    if each.extended_messages:
        yield "enable extended messages on"
    if each.role is not None:
        yield f"local role {_ROLES.get(each.role, each.role)}"
        if each.role_strict:
            yield "require roles on"
    if config.graceful_restart and config.long_lived_seconds is not None:
        yield f"long lived graceful restart on; long lived stale time {config.long_lived_seconds}"
