"""The options of a peer in a file of peers: rows of fields, and which of two places an option comes from.

Every option may stand in a peer, or at top level for all peers that do not say otherwise; null in a peer
sets one back to what holds without it.
"""

from fractions import Fraction
from typing import TypeVar

from speaker.model.peer import BfdTimers, GracefulRestart, Role
from speaker.model.prefix import Address, Family
from speaker.settings.peer_fields import Field, Mapped, Read, listed, scalar, switch, switched, text
from speaker.texts.readers import choice, integer, interface, seconds, unicast

T = TypeVar("T")

LARGEST_ASN = 2**32 - 1


def _family(text: str) -> Family:
    return Family(choice("ipv4", "ipv6")(text))


def _whole_seconds(low: int, high: int, *, zero: bool = False) -> Read[int]:
    """A duration with its unit, or a number of seconds."""
    parse = seconds(low, high, zero=zero, bare=True)
    return scalar(lambda text: int(parse(text)))


def _milliseconds(text: str) -> int:
    """A duration with its unit, or a number of milliseconds, as --bfd-min-tx takes it."""
    parse = seconds(0.01, 60, fractional=True)
    value: Fraction = parse(f"{text}ms" if text.isdecimal() else text) * 1000
    if value.denominator != 1:
        raise ValueError("must be from 10ms to 60s, in whole milliseconds")
    return int(value)


RESTART_TIME: Field[int] = Field(
    "restartTime",
    _whole_seconds(1, 4095),
    90,
    kind="duration",
    help="How long the peer keeps our routes while we are away: 1s to 4095s.",
    shown_default="90s",
)
LONG_LIVED_TIME: Field[int] = Field(
    "longLivedTime",
    _whole_seconds(0, 2**24 - 1),
    0,
    kind="duration",
    help="How long it may keep them after that, as its last choice (RFC 9494).",
    shown_default="0, off",
)
NOTIFICATION: Field[bool] = Field(
    "notification",
    switch,
    False,
    kind="boolean",
    help="Keep them after a NOTIFICATION and after the hold timer too (RFC 8538).",
    shown_default="false",
)
MIN_TX: Field[int] = Field(
    "minTx",
    scalar(_milliseconds),
    1000,
    kind="milliseconds or duration",
    help="The least time between the BFD packets that we send: 10ms to 60s.",
    shown_default="1000",
)
MIN_RX: Field[int] = Field(
    "minRx",
    scalar(_milliseconds),
    1000,
    kind="milliseconds or duration",
    help="The least time between BFD packets that we can take: 10ms to 60s.",
    shown_default="1000",
)
MULTIPLIER: Field[int] = Field(
    "multiplier",
    scalar(integer(2, 255)),
    3,
    kind="number",
    help="After how many missing packets the peer is down: 2 to 255.",
    shown_default="3",
)
BFD_MULTIHOP: Field[bool | None] = Field(
    "multihop",
    switch,
    None,
    kind="boolean",
    help="Whether routers stand between (RFC 5883).",
    shown_default="as the session's TTL says",
)


GRACEFUL_RESTART_FIELDS: tuple[Field[object], ...] = (RESTART_TIME, LONG_LIVED_TIME, NOTIFICATION)
BFD_FIELDS: tuple[Field[object], ...] = (MIN_TX, MIN_RX, MULTIPLIER, BFD_MULTIHOP)


def _graceful_restart(mapped: Mapped) -> GracefulRestart:
    return GracefulRestart(
        restart_time_seconds=mapped[RESTART_TIME],
        long_lived_seconds=mapped[LONG_LIVED_TIME],
        notification=mapped[NOTIFICATION],
    )


def _bfd(mapped: Mapped) -> BfdTimers:
    return BfdTimers(
        transmit_milliseconds=mapped[MIN_TX],
        receive_milliseconds=mapped[MIN_RX],
        multiplier=mapped[MULTIPLIER],
        multihop=mapped[BFD_MULTIHOP],
    )


PEER_PORT: Field[int] = Field(
    "peerPort",
    scalar(integer(1, 65535)),
    179,
    kind="port",
    help="The TCP port that the peer listens on.",
    shown_default="179",
)
SOURCE_ADDRESS: Field[Address | None] = Field(
    "sourceAddress",
    scalar(unicast()),
    None,
    kind="address",
    help="The local address to connect from.",
    shown_default="localIP where it can reach the peer, else as the kernel chooses",
)
INTERFACE: Field[str | None] = Field(
    "interface",
    scalar(interface),
    None,
    kind="text",
    help="The only network interface to connect over.",
    shown_default="any",
)
FAMILIES: Field[tuple[Family, ...]] = Field(
    "families",
    listed(_family),
    (),
    kind="list of ipv4, ipv6",
    help="The address families to offer.",
    shown_default="the session's own, and the other when no peer has an address of it",
)
HOLD_TIME: Field[int] = Field(
    "holdTime",
    _whole_seconds(3, 65535, zero=True),
    90,
    kind="duration",
    help="The hold time to propose: 0, or 3s to 65535s.",
    shown_default="90s",
)
KEEPALIVE_TIME: Field[int | None] = Field(
    "keepaliveTime",
    _whole_seconds(1, 65534),
    None,
    kind="duration",
    help="The time between KEEPALIVE messages; less than the hold time.",
    shown_default="a third of the negotiated hold time",
)
CONNECT_RETRY: Field[Fraction] = Field(
    "connectRetry",
    scalar(seconds(0.1, 3600, fractional=True, bare=True)),
    Fraction(30),
    kind="duration",
    help="The longest pause between attempts to connect.",
    shown_default="30s",
)
PASSIVE: Field[bool] = Field(
    "passive",
    switch,
    False,
    kind="boolean",
    help="Never connect to the peer: listen and wait for it.",
    shown_default="false",
)
EBGP_MULTIHOP: Field[int] = Field(
    "ebgpMultihop",
    scalar(integer(1, 255)),
    1,
    kind="number",
    help="The TTL of packets to an eBGP peer; 1 reaches only the same link.",
    shown_default="1",
)
TTL_SECURITY: Field[int | None] = Field(
    "ttlSecurity",
    scalar(integer(1, 254)),
    None,
    kind="number",
    help="Send TTL 255 and take only packets from at most this many hops away (RFC 5082).",
    shown_default="off",
)
PASSWORD_FILE: Field[str | None] = Field(
    "passwordFile",
    text,
    None,
    kind="path",
    help="A file that holds the TCP MD5 password. It is read again when it changes.",
    shown_default="no password",
)
EXTENDED_NEXT_HOP: Field[bool] = Field(
    "extendedNextHop",
    switch,
    False,
    kind="boolean",
    help="On IPv6 sessions offer IPv4 routes with IPv6 next hops (RFC 8950).",
    shown_default="false",
)
GRACEFUL_RESTART: Field[GracefulRestart | None] = Field(
    "gracefulRestart",
    switched(GRACEFUL_RESTART_FIELDS, _graceful_restart),
    None,
    kind="boolean or mapping",
    help="Ask the peer to keep our routes while we restart (RFC 4724): true, or a mapping.",
    shown_default="false",
)
EXTENDED_MESSAGES: Field[bool] = Field(
    "extendedMessages",
    switch,
    True,
    kind="boolean",
    help="Offer messages of up to 65535 octets (RFC 8654).",
    shown_default="true",
)
ADD_PATHS: Field[str] = Field(
    "addPaths",
    scalar(choice("none", "send", "receive", "both")),
    "none",
    kind="none, send, receive or both",
    help="Offer several paths to one prefix (RFC 7911).",
    shown_default="none",
)
ROLE: Field[Role | None] = Field(
    "role",
    scalar(lambda text: Role(choice(*Role)(text))),
    None,
    kind="provider, route-server, route-server-client, customer or peer",
    help="Our side of an eBGP session (RFC 9234).",
    shown_default="none",
)
ROLE_STRICT: Field[bool] = Field(
    "roleStrict",
    switch,
    False,
    kind="boolean",
    help="Refuse a peer that does not tell its role.",
    shown_default="false",
)
MAX_PREFIXES: Field[int | None] = Field(
    "maxPrefixes",
    scalar(integer(1, 10_000_000)),
    None,
    kind="number",
    help="How many prefixes the peer may send before its session is ended.",
    shown_default="any number",
)
BFD: Field[BfdTimers | None] = Field(
    "bfd",
    switched(BFD_FIELDS, _bfd),
    None,
    kind="boolean or mapping",
    help="BFD beside the session (RFC 5880): true, or a mapping.",
    shown_default="false",
)

OPTIONS: tuple[Field[object], ...] = (
    PEER_PORT,
    SOURCE_ADDRESS,
    INTERFACE,
    FAMILIES,
    HOLD_TIME,
    KEEPALIVE_TIME,
    CONNECT_RETRY,
    PASSIVE,
    EBGP_MULTIHOP,
    TTL_SECURITY,
    PASSWORD_FILE,
    EXTENDED_NEXT_HOP,
    GRACEFUL_RESTART,
    EXTENDED_MESSAGES,
    ADD_PATHS,
    ROLE,
    ROLE_STRICT,
    MAX_PREFIXES,
    BFD,
)


class Options:
    """The options of one peer.

    Args:
        own: the peer's own fields.
        common: those at top level.
    """

    def __init__(self, own: Mapped, common: Mapped) -> None:
        self._own = own
        self._common = common

    def __getitem__(self, option: Field[T]) -> T:
        """The peer's own value, else the common one, else the default."""
        return self._own[option] if self._own.names(option) else self._common[option]

    def is_own(self, option: Field[object]) -> bool:
        """Whether the peer itself sets the option."""
        return self._own.names(option)

    def wrong(self, option: Field[object], sentence: str) -> None:
        """Tell, at the peer, what is wrong with an option's value, wherever that stands."""
        from_top = "" if self.is_own(option) else " (given for every peer)"
        source = self._own if self.is_own(option) else self._common
        self._own.spot.field(option.name).wrong(source.raw(option), f"{sentence}{from_top}")
