"""The flags about what sessions offer, whom they accept and how they notice death: rows and nothing else.

Whom to peer with, and the timers that everybody sets, are in `bgp_flags`.
"""

from fractions import Fraction

from speaker.model.peer import Role
from speaker.model.prefix import Address, Prefix
from speaker.settings.flag import Flag, Group
from speaker.texts.readers import (
    SWITCH,
    choice,
    integer,
    interface,
    many,
    one,
    optional,
    prefix,
    seconds,
    unicast,
)

LARGEST_MILLISECONDS = 4294967
"""What 32 bits of microseconds hold (RFC 5880 §4.1), and Kube-OVN's limit."""

INTERFACE: Flag[str | None] = Flag(
    name="interface",
    group=Group.SESSIONS,
    reader=optional("interface", interface),
    help="Connect over this network interface only.",
    shown_default="any",
)
LISTEN_ADDRESS: Flag[tuple[Address, ...]] = Flag(
    name="listen-address",
    group=Group.SESSIONS,
    reader=many("address list", unicast()),
    help="Listen on these addresses only; needs --listen-port, --passivemode, --neighbor-range or --fabric.",
    shown_default="every address",
)
NEIGHBOR_RANGE: Flag[tuple[Prefix, ...]] = Flag(
    name="neighbor-range",
    group=Group.SESSIONS,
    reader=many("prefix list", prefix),
    help="Take sessions from every router in these prefixes that opens with --neighbor-as, and listen for"
    " them; peers in --neighbor-address come first.",
)
NEIGHBOR_RANGE_LIMIT: Flag[int] = Flag(
    name="neighbor-range-limit",
    group=Group.SESSIONS,
    reader=one("number", integer(1, 5000)),
    help="How many peers each prefix of --neighbor-range may have at once.",
    default="100",
)
EXTENDED_MESSAGES: Flag[bool] = Flag(
    name="extended-messages",
    group=Group.SESSIONS,
    reader=SWITCH,
    help="Offer messages of up to 65535 octets (RFC 8654).",
    default="true",
)
ADD_PATH: Flag[str] = Flag(
    name="add-path",
    group=Group.SESSIONS,
    reader=one("direction", choice("none", "send", "receive", "both")),
    help="Offer several paths to one prefix (RFC 7911).",
    default="none",
)
ROLE: Flag[Role | None] = Flag(
    name="role",
    group=Group.SESSIONS,
    reader=optional("role", lambda text: Role(choice(*Role)(text))),
    help="Our role toward eBGP peers (RFC 9234): a cluster is usually the customer of its routers. Wrong"
    " pairs of roles get no session, and routes that would leak are not taken.",
    shown_default="none is offered",
)
ROLE_STRICT: Flag[bool] = Flag(
    name="role-strict",
    group=Group.SESSIONS,
    reader=SWITCH,
    help="Refuse peers that do not tell their role.",
    default="false",
)
MAX_PREFIXES: Flag[int | None] = Flag(
    name="max-prefixes",
    group=Group.SESSIONS,
    reader=optional("number", integer(1, 10_000_000)),
    help="End the session of a peer that sends more prefixes than this, for five minutes.",
    shown_default="10000 of a peer that is learned from; else no end, 10000 are kept and none used",
)

ENABLE_BFD: Flag[bool] = Flag(
    name="enable-bfd",
    group=Group.SESSIONS,
    reader=SWITCH,
    help="BFD beside every session (RFC 5880): a peer that stops answering loses its session at once.",
    default="false",
    from_kube_ovn=True,
)
BFD_MIN_TX: Flag[int] = Flag(
    name="bfd-min-tx",
    group=Group.SESSIONS,
    reader=one("milliseconds", integer(1, LARGEST_MILLISECONDS)),
    help="The least time between BFD packets that we want to send.",
    default="1000",
    from_kube_ovn=True,
)
BFD_MIN_RX: Flag[int] = Flag(
    name="bfd-min-rx",
    group=Group.SESSIONS,
    reader=one("milliseconds", integer(1, LARGEST_MILLISECONDS)),
    help="The least time between BFD packets that we can receive.",
    default="1000",
    from_kube_ovn=True,
)
BFD_DETECTION_MULTIPLIER: Flag[int] = Flag(
    name="bfd-detection-multiplier",
    group=Group.SESSIONS,
    reader=one("number", integer(1, 255)),
    help="After how many missing BFD packets the other side is dead.",
    default="3",
    from_kube_ovn=True,
)

GRACEFUL_RESTART_NOTIFICATION: Flag[bool] = Flag(
    name="graceful-restart-notification",
    group=Group.STOPPING,
    reader=SWITCH,
    help="Offer to keep routes also after a NOTIFICATION and after the hold timer (RFC 8538). A node that"
    " dies silently then attracts traffic for the restart time more.",
    default="false",
)
LONG_LIVED_GRACEFUL_RESTART_TIME: Flag[Fraction] = Flag(
    name="long-lived-graceful-restart-time",
    group=Group.STOPPING,
    reader=one("duration", seconds(1, 16777215, zero=True)),
    help="After the restart time, let the peers keep our routes as their last choice for this long"
    " (RFC 9494); 0 does not offer it.",
    default="0",
)

SESSION_FLAGS: tuple[Flag[object], ...] = (
    INTERFACE,
    LISTEN_ADDRESS,
    NEIGHBOR_RANGE,
    NEIGHBOR_RANGE_LIMIT,
    EXTENDED_MESSAGES,
    ADD_PATH,
    ROLE,
    ROLE_STRICT,
    MAX_PREFIXES,
    ENABLE_BFD,
    BFD_MIN_TX,
    BFD_MIN_RX,
    BFD_DETECTION_MULTIPLIER,
    GRACEFUL_RESTART_NOTIFICATION,
    LONG_LIVED_GRACEFUL_RESTART_TIME,
)
