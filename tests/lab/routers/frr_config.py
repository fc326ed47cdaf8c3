"""A router's configuration in FRR's words: one text for each of its daemons."""

from collections.abc import Iterator

from speaker.model.peer import Role
from speaker.model.prefix import Family, family_of
from tests.lab.routers.config import Neighbor, Originated, RouterConfig

_ROLES = {Role.ROUTE_SERVER: "rs-server", Role.ROUTE_SERVER_CLIENT: "rs-client"}


def bgpd(config: RouterConfig) -> str:
    """The text of bgpd.conf."""
    # A map that comes after the network it is for counts only five seconds later.
    return "\n".join((*_route_maps(config), *_bgpd_lines(config))) + "\n"


def bfdd(config: RouterConfig) -> str:
    """The text of bfdd.conf. A combined file would make bgpd leave `router bgp` too early."""
    lines = ["bfd"]
    for number, each in enumerate(config.neighbors):
        if each.bfd:
            lines += [
                f" profile {_name_of_profile(number)}",
                *(f"  {line}" for line in _timers(each)),
                " exit",
            ]
    return "\n".join([*lines, "exit"]) + "\n"


def zebra(config: RouterConfig) -> str:
    """The text of zebra.conf."""
    # A link that goes takes its legs out of the kernel's nexthop groups, and FRR 8.4 takes these for whole
    # when the link is back: routers with parallel links do without groups.
    return "no zebra nexthop kernel enable\n" if config.static_routes else ""


def staticd(config: RouterConfig) -> str:
    """The text of staticd.conf."""
    lines = [
        f"{'ip' if family_of(each.prefix) is Family.IPV4 else 'ipv6'} route {each.prefix} {gateway}"
        for each in config.static_routes
        for gateway in each.gateways
    ]
    return "\n".join(lines) + "\n"


def _timers(each: Neighbor) -> Iterator[str]:
    yield f"receive-interval {each.bfd_milliseconds}"
    yield f"transmit-interval {each.bfd_milliseconds}"
    yield f"detect-multiplier {each.bfd_multiplier}"


def _name_of_profile(number: int) -> str:
    return f"PROFILE{number}"


def _bgpd_lines(config: RouterConfig) -> Iterator[str]:
    yield f"router bgp {config.asn}"
    yield f" bgp router-id {config.router_id}"
    yield " no bgp ebgp-requires-policy"
    yield " no bgp default ipv4-unicast"
    yield " no bgp network import-check"
    yield " bgp bestpath as-path multipath-relax"
    # Without these the first UPDATEs wait for the slowest peer of a machine that is booting.
    yield " update-delay 0"
    yield " coalesce-time 0"
    yield from (f" {line}" for line in _restart(config))
    if config.cluster_id:
        yield f" bgp cluster-id {config.cluster_id}"
    for number, each in enumerate(config.neighbors):
        yield from (f" {line}" for line in _neighbor(number, each, config))
        if each.is_range:
            yield f" bgp listen range {each.where} peer-group {_name(number, each)}"
    for family in config.families:
        yield f" address-family {family} unicast"
        yield from (f"  {line}" for line in _family(family, config))
        yield " exit-address-family"
    yield "exit"


def _restart(config: RouterConfig) -> Iterator[str]:
    if not config.graceful_restart:
        yield "bgp graceful-restart-disable"
        return
    yield "bgp graceful-restart"
    yield f"bgp graceful-restart restart-time {config.restart_seconds}"
    if config.restarts_gracefully:
        yield "bgp graceful-restart preserve-fw-state"
    if config.notification_restart is not None:
        yield f"{'' if config.notification_restart else 'no '}bgp graceful-restart notification"
    if not config.hard_reset:
        yield "no bgp hard-administrative-reset"
    if config.long_lived_seconds is not None:
        yield f"bgp long-lived-graceful-restart stale-time {config.long_lived_seconds}"


def _name(number: int, each: Neighbor) -> str:
    return f"RANGE{number}" if each.is_range else str(each.unscoped)


def _neighbor(number: int, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    name = _name(number, each)
    if each.is_range:
        yield f"neighbor {name} peer-group"
    yield f"neighbor {name} remote-as {each.asn}"
    if each.device and not each.is_range:
        yield f"neighbor {name} interface {each.device}"
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
    if each.role is not None:
        strict = " strict-mode" if each.role_strict else ""
        yield f"neighbor {name} local-role {_ROLES.get(each.role, each.role)}{strict}"
    if each.bfd:
        yield f"neighbor {name} bfd"
        yield f"neighbor {name} bfd profile {_name_of_profile(number)}"


def _family(family: Family, config: RouterConfig) -> Iterator[str]:
    for number, origin in enumerate(config.originated):
        if family_of(origin.prefix) is family:
            with_map = f" route-map {_name_of_map(number)}" if _attributes(origin) else ""
            yield f"network {origin.prefix}{with_map}"
    yield f"maximum-paths {config.max_paths}"
    yield f"maximum-paths ibgp {config.max_paths}"
    for number, each in enumerate(config.neighbors):
        if family in config.families_of(each):
            yield from (f"neighbor {_name(number, each)} {line}" for line in _activated(each, config))


def _activated(each: Neighbor, config: RouterConfig) -> Iterator[str]:
    yield "activate"
    if config.next_hop_self:
        yield "next-hop-self"
    if each.rr_client:
        yield "route-reflector-client"
    # Receiving additional paths is FRR's default.
    if not each.add_path_rx:
        yield "disable-addpath-rx"
    if each.add_path_tx:
        yield "addpath-tx-all-paths"
    if each.max_prefixes is not None:
        yield f"maximum-prefix {each.max_prefixes}"


def _name_of_map(number: int) -> str:
    return f"ORIGINATED{number}"


def _route_maps(config: RouterConfig) -> Iterator[str]:
    for number, each in enumerate(config.originated):
        if attributes := _attributes(each):
            yield f"route-map {_name_of_map(number)} permit 1"
            yield from (f" set {attribute}" for attribute in attributes)
            yield "exit"


def _attributes(each: Originated) -> list[str]:
    found = []
    if each.communities:
        found.append(f"community {' '.join(each.communities)}")
    if each.large_communities:
        found.append(f"large-community {' '.join(each.large_communities)}")
    for kind in ("rt", "soo"):
        values = [text.partition(":")[2] for text in each.ext_communities if text.startswith(f"{kind}:")]
        if values:
            found.append(f"extcommunity {kind} {' '.join(values)}")
    return found
