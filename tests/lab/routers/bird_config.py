"""A router's configuration in BIRD 2's words."""

from collections.abc import Iterator

from speaker.model.prefix import Family, family_of
from tests.lab.routers.config import Neighbor, RouterConfig


def render(config: RouterConfig) -> str:
    """The text of bird.conf."""
    return "\n".join(_lines(config)) + "\n"


def _lines(config: RouterConfig) -> Iterator[str]:
    yield "log stderr all;"
    yield f"router id {config.router_id};"
    yield "protocol device { scan time 10; }"
    yield "protocol direct { ipv4; ipv6; }"
    for family in Family:
        # Only what BGP brought: the rest is the kernel's own already.
        export = "import none; export where source = RTS_BGP;"
        yield f"protocol kernel {{ {family} {{ {export} }}; merge paths on limit {config.max_paths}; }}"
        routes = [f"route {each} blackhole;" for each in config.originate if family_of(each) is family]
        if routes:
            yield f"protocol static originate_{family} {{ {family}; {' '.join(routes)} }}"
    if any(each.bfd for each in config.neighbors):
        timers = "min rx interval 100 ms; min tx interval 100 ms; multiplier 3;"
        yield f'protocol bfd {{ interface "*" {{ {timers} }}; accept direct; }}'
    for number, each in enumerate(config.neighbors):
        yield from _protocol(number, each, config)


def _protocol(number: int, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    yield f"protocol bgp peer{number} {{"
    local = f" {each.local_address}" if each.local_address else ""
    if not local and len(config.listen) == 1:
        local = f" {config.listen[0]}"
    yield f"  local{local} port {config.port} as {config.asn};"
    remote = "range " if each.is_range else ""
    port = f" port {each.port}" if each.port else ""
    yield f"  neighbor {remote}{each.where}{port} as {each.asn};"
    if each.is_range:
        yield f'  dynamic name "peer{number}_";'
    yield f"  hold time {config.hold_seconds}; keepalive time {config.keepalive_seconds};"
    # The defaults, minutes, outlast any test.
    yield "  error wait time 1,3; connect delay time 1; connect retry time 2;"
    restart = f"on; graceful restart time {config.restart_seconds}" if config.graceful_restart else "off"
    yield f"  graceful restart {restart};"
    yield from (f"  {line};" for line in _options(each, config))
    channel = "import all; export where source = RTS_BGP || source = RTS_STATIC;"
    if config.next_hop_self:
        channel += " next hop self ebgp;"
    if each.add_path_rx:
        channel += " add paths rx;"
    for family in config.families_of(each):
        extended = " extended next hop on;" if each.extended_next_hop and family is Family.IPV4 else ""
        yield f"  {family} {{ {channel}{extended} }};"
    yield "}"


def _options(each: Neighbor, config: RouterConfig) -> Iterator[str]:
    if each.passive:
        yield "passive on"
    if each.password is not None:
        yield f'password "{each.password}"'
    if each.ttl_security:
        yield "ttl security on"
    if each.multihop:
        yield "multihop"
    if each.bfd:
        yield "bfd on"
    if config.listen:
        yield "strict bind on"
    if each.rr_client:
        yield "rr client"
        if config.cluster_id:
            yield f"rr cluster id {config.cluster_id}"
