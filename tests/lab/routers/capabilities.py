"""What a peer may offer in its OPEN (RFC 5492), by one name whichever daemon tells it.

`multiprotocol:ipv4`, `route-refresh`, `enhanced-route-refresh`, `extended-messages`, `extended-next-hop`,
`graceful-restart`, `long-lived-graceful-restart`, `add-path-send`, `add-path-receive`, `four-octet-as`, and
`role:customer`. No daemon tells all of them; what it does not tell is not there.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_FAMILIES = {"ipv4Unicast": "ipv4", "ipv6Unicast": "ipv6", "IPv4 unicast": "ipv4", "IPv6 unicast": "ipv6"}
_ROLES = {"rs": "route-server", "rs-server": "route-server", "rs-client": "route-server-client"}

_BIRD = {
    "Route refresh": "route-refresh",
    "Enhanced refresh": "enhanced-route-refresh",
    "Extended message": "extended-messages",
    "Extended next hop": "extended-next-hop",
    "Graceful restart": "graceful-restart",
    "Long-lived graceful restart": "long-lived-graceful-restart",
    "4-octet AS numbers": "four-octet-as",
}
_FRR = {
    "routeRefresh": "route-refresh",
    "enhancedRouteRefresh": "enhanced-route-refresh",
    "extendedMessage": "extended-messages",
    "extendedNexthop": "extended-next-hop",
    "gracefulRestart": "graceful-restart",
    "longLivedGracefulRestart": "long-lived-graceful-restart",
    "4byteAs": "four-octet-as",
}
_OPENBGPD = {
    "refresh": "route-refresh",
    "enhanced_refresh": "enhanced-route-refresh",
    "as4byte": "four-octet-as",
    "graceful_restart": "graceful-restart",
}
_OPENBGPD_ADD_PATH = {
    "recv": ("add-path-receive",),
    "send": ("add-path-send",),
    "bidir": ("add-path-receive", "add-path-send"),
}
_GOBGP = {
    "RouteRefresh": "route-refresh",
    "EnhancedRouteRefresh": "enhanced-route-refresh",
    "ExtendedNexthop": "extended-next-hop",
    "GracefulRestart": "graceful-restart",
    "LongLivedGracefulRestart": "long-lived-graceful-restart",
    "FourOctetASN": "four-octet-as",
}


# What GoBGP knows by number only (RFC 8654, RFC 9234).
_EXTENDED_MESSAGES, _ROLE = 6, 9
_ROLES_BY_NUMBER = ("provider", "route-server", "route-server-client", "customer", "peer")

# In protocol buffers: a family is its AFI and SAFI, and an ADD-PATH tuple has its mode after that.
_AFI_SAFI = re.compile(rb"\x08(?P<afi>.)\x10\x01", re.DOTALL)
_MODE = re.compile(rb"\x08.\x10\x01\x10(?P<mode>.)", re.DOTALL)
_RECEIVE, _SEND = 1, 2


def from_bird(lines: Iterable[str]) -> frozenset[str]:
    """From the lines below `Neighbor capabilities` in the answer to `show protocols all`."""
    return frozenset(_from_bird(lines))


def _from_bird(lines: Iterable[str]) -> Iterator[str]:
    for text in map(str.strip, lines):
        if text in _BIRD:
            yield _BIRD[text]
        name, _, value = text.partition(": ")
        match name:
            case "AF announced":
                yield from (f"multiprotocol:{family}" for family in value.split())
            case "RX":
                yield "add-path-receive"
            case "TX":
                yield "add-path-send"
            case "Role":
                yield _role(value)


def from_frr(fields: Mapping[str, Any]) -> frozenset[str]:
    """From the document that FRR has about a neighbor."""
    return frozenset(_from_frr(fields.get("neighborCapabilities", {}), fields.get("remoteRole", "undefined")))


def _from_frr(told: Mapping[str, Any], role: str) -> Iterator[str]:
    for key, name in _FRR.items():
        # "advertised" alone is what FRR itself offers.
        if re.search("[Rr]eceived", str(told.get(key, ""))):
            yield name
    for family, sides in told.get("multiprotocolExtensions", {}).items():
        if any(re.search("[Rr]eceived", side) for side in sides):
            yield f"multiprotocol:{_FAMILIES.get(family, family)}"
    sides = {side for each in told.get("addPath", {}).values() for side in each if side.endswith("Received")}
    if any(side.startswith("tx") for side in sides):
        yield "add-path-send"
    if any(side.startswith("rx") for side in sides):
        yield "add-path-receive"
    if role != "undefined":
        yield _role(role)


def from_openbgpd(told: Mapping[str, Any]) -> frozenset[str]:
    """From the document that OpenBGPD has about the capabilities of a neighbor."""
    return frozenset(_from_openbgpd(told))


def _from_openbgpd(told: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for key, name in _OPENBGPD.items() if told.get(key))
    for family in told.get("multiprotocol", ()):
        yield f"multiprotocol:{_FAMILIES.get(family, family)}"
    for each in told.get("add-path", ()):
        yield from _OPENBGPD_ADD_PATH.get(each["mode"], ())
    if role := told.get("open_policy_role"):
        yield _role(role)


def from_gobgp(told: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """From GoBGP's list of a neighbor's capabilities, each a name and a value in base64."""
    return frozenset(name for each in told for name in _from_gobgp(each))


def _from_gobgp(told: Mapping[str, str]) -> Iterator[str]:
    kind = told["type_url"].rpartition(".")[2].removesuffix("Capability")
    value = base64.b64decode(told.get("value", ""))
    match kind:
        case "MultiProtocol":
            afis = {found["afi"][0] for found in _AFI_SAFI.finditer(value)}
            yield from (f"multiprotocol:{'ipv6' if afi == 2 else 'ipv4'}" for afi in afis)
        case "AddPath":
            modes = {found["mode"][0] for found in _MODE.finditer(value)}
            if any(mode & _RECEIVE for mode in modes):
                yield "add-path-receive"
            if any(mode & _SEND for mode in modes):
                yield "add-path-send"
        case "Unknown" if value[1] == _EXTENDED_MESSAGES:
            yield "extended-messages"
        case "Unknown" if value[1] == _ROLE:
            yield _role(_ROLES_BY_NUMBER[value[-1]])
        case _ if kind in _GOBGP:
            yield _GOBGP[kind]


def _role(text: str) -> str:
    name = text.replace("_", "-")
    return f"role:{_ROLES.get(name, name)}"
