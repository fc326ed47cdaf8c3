"""FRR's answers in JSON, read into the lab's values."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from speaker.model.prefix import Address
from tests.lab.routers import capabilities
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.table import (
    BfdInfo,
    Path,
    SessionInfo,
    SessionState,
    community,
    ext_community,
)

_STATES = {"clearing": SessionState.IDLE, "deleted": SessionState.IDLE}
_EXT_COMMUNITY = re.compile(r"\b(RT|SoO):(\S+)")


def path(fields: dict[str, Any], config: RouterConfig) -> Path:
    """One of the paths in the answer about a prefix."""
    communities = [fields.get(key, {}).get("list", ()) for key in ("community", "largeCommunity")]
    return Path(
        next_hop=_next_hop(fields),
        # "peer" is a document about the peer; a path of the router's own has an unspecified address there.
        peer=_peer(fields.get("peer", {}).get("peerId", ""), config),
        as_path=tuple(
            int(asn) for asn in fields.get("aspath", {}).get("string", "").split() if asn.isdigit()
        ),
        local_pref=fields.get("locPrf"),
        med=fields.get("metric"),
        communities=frozenset(community(text) for each in communities for text in each),
        ext_communities=frozenset(_ext_communities(fields)),
        best=bool(fields.get("bestpath", {}).get("overall")),
        stale=bool(fields.get("stale")),
        path_id=fields.get("addpathRxId") or None,
    )


def _next_hop(fields: dict[str, Any]) -> Address | None:
    # An IPv6 next hop may have its link-local companion beside it (RFC 2545 section 3), or be just that.
    hops = sorted(map(ip_address, (hop["ip"] for hop in fields.get("nexthops", ()))), key=_not_global)
    return hops[0] if hops else None


def _not_global(hop: Address) -> bool:
    return hop.is_link_local or (hop.version == 6 and hop.is_unspecified)


def _ext_communities(fields: dict[str, Any]) -> Iterator[str]:
    # FRR has words for many kinds, and the numbers of none but these two.
    for kind, value in _EXT_COMMUNITY.findall(fields.get("extendedCommunity", {}).get("string", "")):
        yield ext_community(kind, value)


def _peer(text: str, config: RouterConfig) -> Address | None:
    try:
        peer = ip_address(text)
    except ValueError:
        return None
    return None if peer.is_unspecified else config.named(peer)


def session(peer: Address, fields: dict[str, Any]) -> SessionInfo:
    """The document about one neighbor."""
    state = fields["bgpState"].lower()
    hold = fields.get("bgpTimerHoldTimeMsecs")
    keys = ("lastNotificationReason", "lastShutdownDescription")
    errors = [fields[key] for key in keys if fields.get(key)]
    return SessionInfo(
        peer=peer,
        state=_STATES.get(state) or SessionState(state),
        asn=fields.get("remoteAs"),
        router_id=fields.get("remoteRouterId"),
        hold_seconds=hold // 1000 if hold is not None else None,
        last_error=": ".join(errors) or fields.get("lastResetDueTo"),
        received=fields.get("messageStats", {}).get("updatesRecv"),
        capabilities=capabilities.from_frr(fields) if "neighborCapabilities" in fields else None,
    )


def bfd(fields: dict[str, Any], config: RouterConfig) -> BfdInfo:
    """The document about one BFD session."""
    # RFC 5880 sections 6.8.2 and 6.8.4: the slower of both ends, and the peer's own multiplier.
    sending = max(fields["transmit-interval"], fields["remote-receive-interval"])
    receiving = max(fields["receive-interval"], fields["remote-transmit-interval"])
    return BfdInfo(
        peer=config.named(ip_address(fields["peer"])),
        up=fields["status"] == "up",
        transmit_milliseconds=sending,
        detection_milliseconds=fields["remote-detect-multiplier"] * receiving,
    )
