"""A router's configuration in GoBGP's words (TOML)."""

import json
from collections.abc import Iterator

from tests.lab.routers.config import Neighbor, RouterConfig


def render(config: RouterConfig) -> str:
    """The text of gobgpd.toml.

    `next_hop_self` is GoBGP's default between ASes, and is not to be had within one.

    Raises:
        ValueError: a neighbor asks for what GoBGP 3 cannot do.
    """
    return "\n".join(_lines(config)) + "\n"


def _lines(config: RouterConfig) -> Iterator[str]:
    yield "[global.config]"
    yield f"  as = {config.asn}"
    yield f'  router-id = "{config.router_id}"'
    yield f"  port = {config.port}"
    if config.listen:
        # A list of strings is the same in TOML and in JSON.
        yield f"  local-address-list = {json.dumps([str(address) for address in config.listen])}"
    yield "[global.use-multiple-paths.config]"
    yield "  enabled = true"
    for number, each in enumerate(config.neighbors):
        _check(each)
        if each.is_range:
            yield "[[peer-groups]]"
            yield from _settings("peer-groups", each, config, f'peer-group-name = "range{number}"')
            yield "[[dynamic-neighbors]]"
            yield "  [dynamic-neighbors.config]"
            yield f'    prefix = "{each.where}"'
            yield f'    peer-group = "range{number}"'
        else:
            yield "[[neighbors]]"
            yield from _settings("neighbors", each, config, f'neighbor-address = "{each.where}"')


def _check(each: Neighbor) -> None:
    if each.bfd:
        raise ValueError("GoBGP has no BFD")
    if each.extended_next_hop:
        raise ValueError("GoBGP takes no IPv6 next hops for IPv4 prefixes")
    if each.is_range and (each.password is not None or each.add_path_rx):
        raise ValueError("GoBGP has neither passwords nor additional paths on dynamic neighbors")


def _settings(root: str, each: Neighbor, config: RouterConfig, identity: str) -> Iterator[str]:
    yield f"  [{root}.config]"
    yield f"    {identity}"
    yield f"    peer-as = {each.asn}"
    if each.password is not None:
        yield f'    auth-password = "{each.password}"'
    yield f"  [{root}.timers.config]"
    yield f"    hold-time = {config.hold_seconds}"
    yield f"    keepalive-interval = {config.keepalive_seconds}"
    # The default, half a minute of silence after a reset, outlasts any test.
    yield "    idle-hold-time-after-reset = 1"
    yield "    connect-retry = 1"
    yield f"  [{root}.transport.config]"
    yield f"    passive-mode = {_bool(value=each.passive or each.is_range)}"
    if each.port:
        yield f"    remote-port = {each.port}"
    if each.local_address:
        yield f'    local-address = "{each.local_address}"'
    yield from _options(root, each, config)
    for family in config.families_of(each):
        yield f"  [[{root}.afi-safis]]"
        yield f"    [{root}.afi-safis.config]"
        yield f'      afi-safi-name = "{family}-unicast"'
        yield f"    [{root}.afi-safis.mp-graceful-restart.config]"
        yield f"      enabled = {_bool(value=config.graceful_restart)}"
        if each.add_path_rx:
            yield f"    [{root}.afi-safis.add-paths.config]"
            yield "      receive = true"


def _options(root: str, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    if config.graceful_restart:
        yield f"  [{root}.graceful-restart.config]"
        yield "    enabled = true"
        yield "    helper-only = true"
        yield f"    restart-time = {config.restart_seconds}"
    if each.ttl_security:
        yield f"  [{root}.ttl-security.config]"
        yield "    enabled = true"
        yield "    ttl-min = 255"
    if each.multihop:
        yield f"  [{root}.ebgp-multihop.config]"
        yield "    enabled = true"
        yield "    multihop-ttl = 255"
    if each.rr_client:
        yield f"  [{root}.route-reflector.config]"
        yield "    route-reflector-client = true"
        yield f'    route-reflector-cluster-id = "{config.cluster_id or config.router_id}"'


def _bool(*, value: bool) -> str:
    return "true" if value else "false"
