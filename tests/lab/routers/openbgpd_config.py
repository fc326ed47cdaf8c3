"""A router's configuration in OpenBGPD's words."""

from collections.abc import Iterator
from pathlib import Path

from speaker.model.peer import Role
from speaker.model.prefix import Family
from tests.lab.routers.config import Neighbor, Originated, RouterConfig

_ROLES = {Role.ROUTE_SERVER: "rs", Role.ROUTE_SERVER_CLIENT: "rs-client"}


def render(config: RouterConfig, folder: Path) -> str:
    """The text of bgpd.conf."""
    return "\n".join(_lines(config, folder)) + "\n"


def name(number: int) -> str:
    """What the neighbor with that place in the configuration is called."""
    return f"peer{number}"


def _lines(config: RouterConfig, folder: Path) -> Iterator[str]:
    yield f"AS {config.asn}"
    yield f"router-id {config.router_id}"
    yield f'socket "{folder}/bgpd.sock"'
    yield f"holdtime {config.hold_seconds}"
    yield "connect-retry 1"
    yield "fib-update no"
    yield "rde evaluate all"
    for address in config.listen or ("0.0.0.0", "::"):
        yield f"listen on {address} port {config.port}"
    yield from (f"network {each.prefix}{_attributes(each)}" for each in config.originated)
    for number, each in enumerate(config.neighbors):
        yield f"neighbor {each.where} {{"
        yield f' descr "{name(number)}"'
        yield from (f" {line}" for line in (*_options(each, config), *_capabilities(each)))
        yield "}"
    yield "allow from any"
    yield "allow to any"
    if config.next_hop_self:
        yield "match to ebgp set nexthop self"
    if config.honour_graceful_shutdown:
        yield "match from any community GRACEFUL_SHUTDOWN set localpref 0"


def _attributes(each: Originated) -> str:
    sets = [f"community {text}" for text in each.communities]
    sets += [f"large-community {text}" for text in each.large_communities]
    sets += [f"ext-community {text.replace(':', ' ', 1)}" for text in each.ext_communities]
    return f" set {{ {' '.join(sets)} }}" if sets else ""


def _options(each: Neighbor, config: RouterConfig) -> Iterator[str]:
    yield f"remote-as {each.asn}"
    for family, word in ((Family.IPV4, "IPv4"), (Family.IPV6, "IPv6")):
        yield f"announce {word} {'unicast' if family in config.families_of(each) else 'none'}"
    yield f"announce restart {'yes' if config.graceful_restart else 'no'}"
    if each.passive or each.is_range:
        yield "passive"
    if each.port:
        yield f"port {each.port}"
    if each.local_address:
        yield f"local-address {each.local_address}"
    if each.password is not None:
        yield f'tcp md5sig password "{each.password}"'
    if each.ttl_security:
        yield "ttl-security yes"
    if each.multihop:
        yield "multihop 255"
    if each.rr_client:
        yield f"route-reflector {config.cluster_id or config.router_id}"
    if each.max_prefixes is not None:
        yield f"max-prefix {each.max_prefixes}"


def _capabilities(each: Neighbor) -> Iterator[str]:
    if each.add_path_rx:
        yield "announce add-path recv yes"
    if each.add_path_tx:
        yield "announce add-path send all"
    if each.enhanced_refresh:
        yield "announce enhanced refresh yes"
    if each.role is not None:
        strict = " enforce" if each.role_strict else ""
        yield f"announce policy {_ROLES.get(each.role, each.role)}{strict}"
