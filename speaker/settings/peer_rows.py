"""The fields of a file of peers beside the options: rows of fields and nothing else."""

from ipaddress import IPv4Address

from speaker.model.prefix import Address, Prefix
from speaker.settings import peer_options as options
from speaker.settings.peer_fields import Field, Spot, listed, scalar, text
from speaker.settings.peer_options import OPTIONS
from speaker.texts.readers import integer, prefix, router_id, unicast

MOST_PEERS = 1000
MOST_OF_A_RANGE = 5000


LOCAL_IP: Field[Address | None] = Field(
    "localIP",
    scalar(unicast()),
    None,
    kind="address",
    help="Required. The address of this host that sessions begin at, and the router ID if it is IPv4.",
)
LOCAL_ASN: Field[int | None] = Field(
    "localASN",
    scalar(integer(1, options.LARGEST_ASN)),
    None,
    kind="AS number",
    help="Required at top level. Our AS number; in a peer, the one to open that session with.",
)
ROUTER_ID: Field[IPv4Address | None] = Field(
    "routerID",
    scalar(router_id),
    None,
    kind="IPv4 address",
    help="The BGP Identifier. Required when localIP is an IPv6 address.",
    shown_default="localIP",
)
LISTEN_PORT: Field[int | None] = Field(
    "listenPort",
    scalar(integer(1, 65535)),
    None,
    kind="port",
    help="Listen for peers on this TCP port. A change counts from the next start on.",
    shown_default="179 with a passive peer or a range, otherwise no listening socket",
)
LISTEN_ADDRESSES: Field[tuple[Address, ...]] = Field(
    "listenAddresses",
    listed(unicast()),
    (),
    kind="address list",
    help="Where to listen. A change counts from the next start on.",
    shown_default="every address",
)


def _peer_list(value: object, spot: Spot) -> tuple[object, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PEERS:
        sentence = f"must be a list of 1 to {MOST_PEERS} peers, each with peerIP and peerASN"
        spot.wrong(value, sentence)
        raise ValueError(sentence)
    return tuple(value)


PEERS: Field[tuple[object, ...]] = Field("peers", _peer_list, (), kind="list", help="Required. The peers.")


NAME: Field[str | None] = Field(
    "name",
    text,
    None,
    kind="text",
    help="What logs, metrics and speaker status call the peer.",
    shown_default="its address or range",
)
DESCRIPTION: Field[str] = Field("description", text, "", kind="text", help="For people.")
PEER_IP: Field[Address | None] = Field(
    "peerIP",
    scalar(unicast()),
    None,
    kind="address",
    help="Required, or peerRange. A link-local address carries its interface: fe80::1%eth0.",
)
PEER_ASN: Field[int | None] = Field(
    "peerASN",
    scalar(integer(1, options.LARGEST_ASN)),
    None,
    kind="AS number",
    help="Required. The AS number that the peer must open with; equal to localASN it is iBGP.",
)
PEER_RANGE: Field[Prefix | None] = Field(
    "peerRange",
    scalar(prefix),
    None,
    kind="prefix",
    help="In place of peerIP: peers that connect from this prefix and are not named one by one.",
)
LIMIT: Field[int | None] = Field(
    "limit",
    scalar(integer(1, MOST_OF_A_RANGE)),
    None,
    kind="number",
    help="Required with peerRange. How many of them there may be at once: 1 to 5000.",
)

TOP_FIELDS: tuple[Field[object], ...] = (
    LOCAL_IP, LOCAL_ASN, ROUTER_ID, LISTEN_PORT, LISTEN_ADDRESSES, PEERS, *OPTIONS,
)  # fmt: skip
PEER_FIELDS: tuple[Field[object], ...] = (
    PEER_IP, PEER_ASN, PEER_RANGE, LIMIT, NAME, DESCRIPTION, LOCAL_ASN, *OPTIONS,
)  # fmt: skip
