"""What a change of a peer's configuration does to its running session.

Pure: two configurations in, an effect out. `EFFECTS` is the whole of it, and the reference of the settings
is made from it.
"""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum

from speaker.model.peer import Peer


class Effect(StrEnum):
    """What happens to an established session; the greatest of several changes counts."""

    LIVE = "live"
    """The session goes on."""

    RESTART = "restart"
    """A new session follows at once; with graceful restart both sides keep the routes meanwhile."""

    RESET = "reset"
    """The session ends with Cease, and all routes with it; a new one follows."""


EFFECTS: Mapping[str, Effect] = {
    "name": Effect.RESET,
    "address": Effect.RESET,
    "asn": Effect.RESET,
    "local_asn": Effect.RESET,
    "role": Effect.RESET,
    "role_strict": Effect.RESTART,
    "router_id": Effect.RESTART,
    "families": Effect.RESTART,
    "port": Effect.LIVE,
    "hold_time_seconds": Effect.RESTART,
    "keepalive_seconds": Effect.LIVE,
    "connect_retry_seconds": Effect.LIVE,
    "passive": Effect.LIVE,
    "multihop_ttl": Effect.RESTART,
    "ttl_security_hops": Effect.RESTART,
    "password": Effect.RESTART,
    "source": Effect.RESTART,
    "interface": Effect.RESTART,
    "extended_next_hop": Effect.RESTART,
    "graceful_restart": Effect.RESTART,
    "description": Effect.LIVE,
    "extended_messages": Effect.RESTART,
    "add_path_send": Effect.RESTART,
    "add_path_receive": Effect.RESTART,
    "max_prefixes": Effect.LIVE,
    "bfd": Effect.LIVE,
    "node": Effect.LIVE,
    "imports": Effect.LIVE,
    "client": Effect.LIVE,
    "cluster_id": Effect.LIVE,
    "next_hop_mode": Effect.LIVE,
    "allowed_local_asns": Effect.RESTART,
    "remove_private_asns": Effect.LIVE,
    "filters": Effect.LIVE,
}
"""Each setting of `Peer`, by its name."""

BETWEEN_NODES: Mapping[str, Effect] = {"asn": Effect.RESTART, "local_asn": Effect.RESTART}
"""What is otherwise where the peer is a Node of the cluster, before and after.

Both ends belong to one administration and change together, so that what was learned over the old AS numbers
stays true until it is heard over the new ones.
"""

_ORDER = tuple(Effect)


def effect(old: Peer, new: Peer) -> Effect:
    """What the change from `old` to `new` does to the session."""
    effects = {**EFFECTS, **BETWEEN_NODES} if old.node and new.node else EFFECTS
    changed = [each.name for each in fields(Peer) if getattr(old, each.name) != getattr(new, each.name)]
    return max((effects[name] for name in changed), key=_ORDER.index, default=Effect.LIVE)
