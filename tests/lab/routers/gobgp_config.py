"""A router's configuration in GoBGP's words (TOML)."""

import json
from collections.abc import Iterator

from tests.lab.routers.config import Neighbor, Originated, RouterConfig
from tests.lab.routers.gobgp_policy import policies

# So that there is room for any number of paths that a test may have.
_SEND_MAX = 16


def render(config: RouterConfig) -> str:
    """The text of gobgpd.toml.

    `next_hop_self` is GoBGP's default between ASes, and is not to be had within one. What the router
    originates is not in the file, which has no word for that.
    """
    return "\n".join(_lines(config)) + "\n"


def attributes(each: Originated) -> list[str]:
    """What follows the prefix in `gobgp global rib add`; extended communities are a matter of policies."""
    words = []
    if each.communities:
        words += ["community", ",".join(each.communities)]
    if each.large_communities:
        words += ["large-community", ",".join(each.large_communities)]
    return words


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
    yield from policies(config)
    for number, each in enumerate(config.neighbors):
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


def _settings(root: str, each: Neighbor, config: RouterConfig, identity: str) -> Iterator[str]:
    yield f"  [{root}.config]"
    yield f"    {identity}"
    yield f"    peer-as = {each.asn}"
    if each.password is not None:
        yield f'    auth-password = "{each.password}"'
    yield f"  [{root}.timers.config]"
    yield f"    hold-time = {config.hold_seconds}"
    yield f"    keepalive-interval = {config.keepalive_seconds}"
    yield "    connect-retry = 1"
    yield f"  [{root}.transport.config]"
    yield f"    passive-mode = {_bool(value=each.passive or each.is_range)}"
    if each.port:
        yield f"    remote-port = {each.port}"
    if each.local_address:
        yield f'    local-address = "{each.local_address}"'
    yield from _restart(root, config)
    yield from _options(root, each, config)
    for family in config.families_of(each):
        yield f"  [[{root}.afi-safis]]"
        yield f"    [{root}.afi-safis.config]"
        yield f'      afi-safi-name = "{family}-unicast"'
        yield from (f"    {line}" for line in _family(f"{root}.afi-safis", each, config))


def _family(root: str, each: Neighbor, config: RouterConfig) -> Iterator[str]:
    yield f"[{root}.mp-graceful-restart.config]"
    yield f"  enabled = {_bool(value=config.graceful_restart)}"
    if config.long_lived_seconds is not None:
        yield f"[{root}.long-lived-graceful-restart.config]"
        yield "  enabled = true"
        yield f"  restart-time = {config.long_lived_seconds}"
    if each.add_path_rx or each.add_path_tx:
        yield f"[{root}.add-paths.config]"
        if each.add_path_rx:
            yield "  receive = true"
        if each.add_path_tx:
            yield f"  send-max = {_SEND_MAX}"
    if each.max_prefixes is not None:
        yield f"[{root}.prefix-limit.config]"
        yield f"  max-prefixes = {each.max_prefixes}"


def _restart(root: str, config: RouterConfig) -> Iterator[str]:
    if not config.graceful_restart:
        return
    yield f"  [{root}.graceful-restart.config]"
    yield "    enabled = true"
    if not config.restarts_gracefully:
        yield "    helper-only = true"
    yield f"    restart-time = {config.restart_seconds}"
    if config.notification_restart:
        yield "    notification-enabled = true"
    if config.long_lived_seconds is not None:
        yield "    long-lived-enabled = true"


def _options(root: str, each: Neighbor, config: RouterConfig) -> Iterator[str]:
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
