"""The flags about peers, stopping and restarting: rows of the flag table and nothing else.

What sessions offer beyond the plain, and BFD, is in `session_flags`.
"""

from fractions import Fraction
from ipaddress import IPv4Address

from speaker.model.prefix import Address, Family
from speaker.settings.flag import Flag, Group
from speaker.texts.readers import (
    SWITCH,
    choice,
    integer,
    many,
    one,
    optional,
    router_id,
    seconds,
    unicast,
)

LARGEST_ASN = 2**32 - 1
LARGEST_PORT = 65535

NEIGHBOR_ADDRESS: Flag[tuple[Address, ...]] = Flag(
    name="neighbor-address",
    group=Group.BGP,
    reader=many("IPv4 address list", unicast(Family.IPV4)),
    help="The peers' IPv4 addresses. At least one peer of either family is required.",
    from_kube_ovn=True,
)
NEIGHBOR_IPV6_ADDRESS: Flag[tuple[Address, ...]] = Flag(
    name="neighbor-ipv6-address",
    group=Group.BGP,
    reader=many("IPv6 address list", unicast(Family.IPV6)),
    help="The peers' IPv6 addresses; a link-local address carries its interface, as in fe80::1%eth0.",
    from_kube_ovn=True,
)
NEIGHBOR_AS: Flag[int | None] = Flag(
    name="neighbor-as",
    group=Group.BGP,
    reader=optional("AS number", integer(1, LARGEST_ASN)),
    help="The AS number of every peer in flags, and required with them.",
    from_kube_ovn=True,
)
CLUSTER_AS: Flag[int | None] = Flag(
    name="cluster-as",
    group=Group.BGP,
    reader=optional("AS number", integer(1, LARGEST_ASN)),
    help="The AS number of this cluster toward peers in flags, and required with them. Equal to"
    " --neighbor-as it makes the sessions iBGP.",
    from_kube_ovn=True,
)
ROUTER_ID: Flag[IPv4Address | None] = Flag(
    name="router-id",
    group=Group.BGP,
    reader=optional("IPv4 address", router_id),
    help="The BGP Identifier. A node without an IPv4 address needs one of its own.",
    shown_default="the IPv4 address in POD_IPS, POD_IP or --node-ips",
    from_kube_ovn=True,
)
NEIGHBOR_PORT: Flag[int] = Flag(
    name="neighbor-port",
    group=Group.BGP,
    reader=one("port", integer(1, LARGEST_PORT)),
    help="The TCP port that every peer listens on.",
    default="179",
)
FAMILIES: Flag[tuple[str, ...]] = Flag(
    name="families",
    group=Group.BGP,
    reader=many("list of ipv4, ipv6", choice("ipv4", "ipv6")),
    help="The address families that every session offers.",
    shown_default="the session's own, and the other when no peer has an address of it",
)
EXTENDED_NEXTHOP: Flag[bool] = Flag(
    name="extended-nexthop",
    group=Group.BGP,
    reader=SWITCH,
    help="Offer both families on every session, and on IPv6 sessions IPv4 routes with IPv6 next hops"
    " (RFC 8950).",
    default="false",
    from_kube_ovn=True,
)
NODE_IPS: Flag[tuple[Address, ...]] = Flag(
    name="node-ips",
    group=Group.BGP,
    reader=many("address list", unicast()),
    help="The node's addresses, one of each family: the next hops when the speaker is not on the host"
    " network.",
    from_kube_ovn=True,
)
ALLOWED_SOURCE_ADDRESSES: Flag[tuple[Address, ...]] = Flag(
    name="allowed-source-addresses",
    group=Group.BGP,
    reader=many("IPv4 address list", unicast(Family.IPV4)),
    help="The only IPv4 addresses that sessions may use as their source and next hop.",
    shown_default="any",
    from_kube_ovn=True,
)
ALLOWED_SOURCE_IPV6_ADDRESSES: Flag[tuple[Address, ...]] = Flag(
    name="allowed-source-ipv6-addresses",
    group=Group.BGP,
    reader=many("IPv6 address list", unicast(Family.IPV6)),
    help="The only IPv6 addresses that sessions may use as their source and next hop.",
    shown_default="any",
    from_kube_ovn=True,
)
AUTH_PASSWORD: Flag[str | None] = Flag(
    name="auth-password",
    group=Group.BGP,
    reader=optional("text", str),
    help="The TCP MD5 password of every peer. Everybody on the host can read it here: prefer"
    " --auth-password-file.",
    from_kube_ovn=True,
    secret=True,
)
AUTH_PASSWORD_FILE: Flag[str | None] = Flag(
    name="auth-password-file",
    group=Group.BGP,
    reader=optional("path", str),
    help="A file that holds the TCP MD5 password of every peer, such as a mounted Secret.",
)
HOLDTIME: Flag[Fraction] = Flag(
    name="holdtime",
    group=Group.BGP,
    reader=one("duration", seconds(3, 65535, zero=True)),
    help="The hold time to propose (RFC 4271 §4.2): 0, or 3s to 65535s.",
    default="90s",
    from_kube_ovn=True,
)
KEEPALIVE: Flag[Fraction | None] = Flag(
    name="keepalive",
    group=Group.BGP,
    reader=optional("duration", seconds(1, 65534)),
    help="The time between KEEPALIVE messages; less than the hold time.",
    shown_default="a third of the negotiated hold time",
)
CONNECT_RETRY: Flag[Fraction] = Flag(
    name="connect-retry",
    group=Group.BGP,
    reader=one("duration", seconds(0.1, 3600, fractional=True)),
    help="The longest pause between attempts to connect to a peer.",
    default="30s",
)
PASSIVEMODE: Flag[bool] = Flag(
    name="passivemode",
    group=Group.BGP,
    reader=SWITCH,
    help="Never connect to the peers: listen and wait for them.",
    default="false",
    from_kube_ovn=True,
)
LISTEN_PORT: Flag[int | None] = Flag(
    name="listen-port",
    group=Group.BGP,
    reader=optional("port", integer(1, LARGEST_PORT)),
    help="Listen for the peers on this TCP port.",
    shown_default="179 with --passivemode or --neighbor-range, otherwise no listening socket",
)
EBGP_MULTIHOP: Flag[int] = Flag(
    name="ebgp-multihop",
    group=Group.BGP,
    reader=one("number", integer(1, 255)),
    help="The TTL of packets to eBGP peers; 1 reaches only the same link.",
    default="1",
    from_kube_ovn=True,
)
TTL_SECURITY: Flag[int | None] = Flag(
    name="ttl-security",
    group=Group.BGP,
    reader=optional("hops", integer(1, 254)),
    help="Send TTL 255 and take only packets from at most this many hops away (RFC 5082).",
    shown_default="off",
)
GRACEFUL_RESTART: Flag[bool] = Flag(
    name="graceful-restart",
    group=Group.STOPPING,
    reader=SWITCH,
    help="Ask the peers in flags to keep our routes while the speaker restarts (RFC 4724). Peers that"
    " resources describe are asked anyway (maxRestartTime).",
    default="false",
    from_kube_ovn=True,
)
GRACEFUL_RESTART_TIME: Flag[Fraction] = Flag(
    name="graceful-restart-time",
    group=Group.STOPPING,
    # The ranges of the two times hold only with --graceful-restart on, as in Kube-OVN: see checks.py.
    reader=one("duration", seconds(0, 10**9, fractional=True)),
    help="How long the peers keep our routes while we are away, and so also after a node dies: 1s to 4095s.",
    default="90s",
    from_kube_ovn=True,
)
GRACEFUL_RESTART_DEFERRAL_TIME: Flag[Fraction] = Flag(
    name="graceful-restart-deferral-time",
    group=Group.STOPPING,
    reader=one("duration", seconds(0, 10**9, fractional=True)),
    help="How long to wait for the peers' End-of-RIB before choosing among imported routes: 1s to 18h.",
    default="360s",
    from_kube_ovn=True,
)
SHUTDOWN: Flag[str] = Flag(
    name="shutdown",
    group=Group.STOPPING,
    reader=one("mode", choice("auto", "withdraw", "graceful-restart")),
    help=(
        "What SIGTERM does. withdraw: withdraw every route, then close the sessions. graceful-restart:"
        " close the connections and let the peers keep the routes. auto: graceful-restart where"
        " --graceful-restart or --fabric is on and the node is still chosen, otherwise withdraw."
    ),
    default="auto",
)
DRAIN_SECONDS: Flag[Fraction] = Flag(
    name="drain-seconds",
    group=Group.STOPPING,
    reader=one("seconds", seconds(0, 600, fractional=True, bare=True)),
    help="Before a planned withdrawal, advertise with GRACEFUL_SHUTDOWN (RFC 8326) for this long.",
    default="0",
)
DRAIN_ON_CORDON: Flag[bool] = Flag(
    name="drain-on-cordon",
    group=Group.STOPPING,
    reader=SWITCH,
    help="Advertise nothing while the node is cordoned.",
    default="false",
)

BGP_FLAGS: tuple[Flag[object], ...] = (
    NEIGHBOR_ADDRESS,
    NEIGHBOR_IPV6_ADDRESS,
    NEIGHBOR_AS,
    CLUSTER_AS,
    ROUTER_ID,
    NEIGHBOR_PORT,
    FAMILIES,
    EXTENDED_NEXTHOP,
    NODE_IPS,
    ALLOWED_SOURCE_ADDRESSES,
    ALLOWED_SOURCE_IPV6_ADDRESSES,
    AUTH_PASSWORD,
    AUTH_PASSWORD_FILE,
    HOLDTIME,
    KEEPALIVE,
    CONNECT_RETRY,
    PASSIVEMODE,
    LISTEN_PORT,
    EBGP_MULTIHOP,
    TTL_SECURITY,
    GRACEFUL_RESTART,
    GRACEFUL_RESTART_TIME,
    GRACEFUL_RESTART_DEFERRAL_TIME,
    SHUTDOWN,
    DRAIN_SECONDS,
    DRAIN_ON_CORDON,
)
