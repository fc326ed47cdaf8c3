"""A router's configuration in FRR's words: one text for each of its daemons."""

from collections.abc import Iterator

from speaker.model.prefix import Family, family_of
from tests.lab.routers.config import Neighbor, RouterConfig


def bgpd(config: RouterConfig) -> str:
    """The text of bgpd.conf."""
    return "\n".join(_bgpd_lines(config)) + "\n"


def bfdd(config: RouterConfig) -> str:
    """The text of bfdd.conf. A combined file would make bgpd leave `router bgp` too early."""
    lines = ["bfd"]
    for each in config.addresses:
        if each.bfd:
            timers = ["receive-interval 100", "transmit-interval 100", "detect-multiplier 3"]
            lines += [f" peer {each.where}", *(f"  {line}" for line in timers), " exit"]
    return "\n".join([*lines, "exit"]) + "\n"


def _bgpd_lines(config: RouterConfig) -> Iterator[str]:
    yield f"router bgp {config.asn}"
    yield f" bgp router-id {config.router_id}"
    yield " no bgp ebgp-requires-policy"
    yield " no bgp default ipv4-unicast"
    yield " no bgp network import-check"
    yield " bgp bestpath as-path multipath-relax"
    # Without these the first UPDATEs wait for the slowest peer of a machine that is booting.
    yield " update-delay 0"
    if config.graceful_restart:
        yield " bgp graceful-restart"
        yield f" bgp graceful-restart restart-time {config.restart_seconds}"
    else:
        yield " bgp graceful-restart-disable"
    if config.cluster_id:
        yield f" bgp cluster-id {config.cluster_id}"
    for number, each in enumerate(config.neighbors):
        yield from (f" {line}" for line in _neighbor(_name(number, each), each, config))
        if each.is_range:
            yield f" bgp listen range {each.where} peer-group {_name(number, each)}"
    for family in config.families:
        yield f" address-family {family} unicast"
        yield from (f"  {line}" for line in _family(family, config))
        yield " exit-address-family"
    yield "exit"


def _name(number: int, each: Neighbor) -> str:
    return f"RANGE{number}" if each.is_range else str(each.where)


def _neighbor(name: str, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    if each.is_range:
        yield f"neighbor {name} peer-group"
    yield f"neighbor {name} remote-as {each.asn}"
    yield f"neighbor {name} timers {config.keepalive_seconds} {config.hold_seconds}"
    yield f"neighbor {name} timers connect 1"
    yield f"neighbor {name} advertisement-interval 0"
    if each.passive:
        yield f"neighbor {name} passive"
    if each.port:
        yield f"neighbor {name} port {each.port}"
    if each.local_address:
        yield f"neighbor {name} update-source {each.local_address}"
    if each.password is not None:
        yield f"neighbor {name} password {each.password}"
    # FRR takes `ttl-security` for a range and does not enforce it: tests of GTSM name addresses.
    if each.ttl_security:
        yield f"neighbor {name} ttl-security hops 1"
    if each.multihop and each.asn != config.asn:
        yield f"neighbor {name} ebgp-multihop 255"
    if each.extended_next_hop:
        yield f"neighbor {name} capability extended-nexthop"
    if each.bfd:
        yield f"neighbor {name} bfd"


def _family(family: Family, config: RouterConfig) -> Iterator[str]:
    yield from (f"network {each}" for each in config.originate if family_of(each) is family)
    yield f"maximum-paths {config.max_paths}"
    yield f"maximum-paths ibgp {config.max_paths}"
    for number, each in enumerate(config.neighbors):
        if family not in config.families_of(each):
            continue
        name = _name(number, each)
        yield f"neighbor {name} activate"
        if config.next_hop_self:
            yield f"neighbor {name} next-hop-self"
        if each.rr_client:
            yield f"neighbor {name} route-reflector-client"
        # Receiving additional paths is FRR's default.
        if not each.add_path_rx:
            yield f"neighbor {name} disable-addpath-rx"
