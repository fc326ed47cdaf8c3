"""A router's configuration in OpenBGPD's words."""

from collections.abc import Iterator
from pathlib import Path

from speaker.model.prefix import Family
from tests.lab.routers.config import Neighbor, RouterConfig


def render(config: RouterConfig, folder: Path) -> str:
    """The text of bgpd.conf.

    Raises:
        ValueError: a neighbor asks for what OpenBGPD cannot do.
    """
    return "\n".join(_lines(config, folder)) + "\n"


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
    yield from (f"network {prefix}" for prefix in config.originate)
    for number, each in enumerate(config.neighbors):
        _check(each)
        yield f"neighbor {each.where} {{"
        yield f' descr "peer{number}"'
        yield from (f" {line}" for line in _options(each, config))
        yield "}"
    yield "allow from any"
    yield "allow to any"
    if config.next_hop_self:
        yield "match to ebgp set nexthop self"


def _check(each: Neighbor) -> None:
    if each.bfd:
        raise ValueError("OpenBGPD has no BFD")
    if each.extended_next_hop:
        raise ValueError("OpenBGPD takes no IPv6 next hops for IPv4 prefixes")
    if each.is_range and each.password is not None:
        raise ValueError("OpenBGPD has no passwords on ranges")


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
    if each.add_path_rx:
        yield "announce add-path recv yes"
    if each.rr_client:
        yield f"route-reflector {config.cluster_id or config.router_id}"
