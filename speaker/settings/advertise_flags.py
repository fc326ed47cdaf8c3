"""The flags of `speaker advertise`: rows of a table of their own and nothing else."""

from fractions import Fraction

from annotations import values as grammar
from speaker.model.prefix import Address, Prefix
from speaker.settings.bgp_flags import DRAIN_SECONDS
from speaker.settings.check_target import CheckTarget, check_target
from speaker.settings.flag import Flag, Group
from speaker.settings.process_flags import LOG_FORMAT, LOG_LEVEL
from speaker.texts import readers
from speaker.texts.readers import SWITCH, choice, integer, many, one, optional, seconds

DEFAULT_HEALTH_PORT = 10668
"""Beside the 10667 of the speaker that publishes what the cluster has: both may run on one node."""


def _advertised(text: str) -> Prefix:
    """An address, or a prefix without host bits, that hosts elsewhere can send to."""
    found = readers.prefix(text)
    if found.prefixlen == 0 or found.is_multicast or found.is_link_local or found.is_loopback:
        raise ValueError("must be an address or a prefix that others can reach, such as 192.0.2.10")
    return found


CONFIG: Flag[str | None] = Flag(
    name="config",
    group=Group.BGP,
    reader=optional("path", str),
    help="The file of peers: YAML with localIP, localASN and peers. It is read again when it changes.",
    required=True,
)
ADVERTISE_IP: Flag[tuple[Prefix, ...]] = Flag(
    name="advertise-ip",
    group=Group.PUBLICATION,
    reader=many("address list", _advertised),
    help="What to advertise: addresses or prefixes, of either family.",
    required=True,
)
COMMUNITY: Flag[tuple[str, ...]] = Flag(
    name="community",
    group=Group.PUBLICATION,
    reader=many("community list", readers.community),
    help="Communities to advertise it with: 65000:100, 65000:1:2, rt:65000:100, no-export.",
)
LOCAL_PREFERENCE: Flag[int | None] = Flag(
    name="local-preference",
    group=Group.PUBLICATION,
    reader=optional("number", integer(0, grammar.UINT32_MAX)),
    help="LOCAL_PREF toward iBGP peers.",
    shown_default="100",
)
MED: Flag[int | None] = Flag(
    name="med",
    group=Group.PUBLICATION,
    reader=optional("number", integer(0, grammar.UINT32_MAX)),
    help="MULTI_EXIT_DISC.",
    shown_default="none",
)
CHECK: Flag[tuple[CheckTarget, ...]] = Flag(
    name="check",
    group=Group.PUBLICATION,
    reader=many("URL list", check_target),
    help="Advertise only while this passes: tcp://HOST:PORT connects, http:// or https://HOST:PORT/PATH"
    " answers with a status from 200 to 399. Of several, every one must pass.",
)
CHECK_INTERVAL: Flag[Fraction] = Flag(
    name="check-interval",
    group=Group.PUBLICATION,
    reader=one("duration", seconds(0.1, 3600, fractional=True, bare=True)),
    help="The pause between two checks.",
    default="2s",
)
CHECK_TIMEOUT: Flag[Fraction] = Flag(
    name="check-timeout",
    group=Group.PUBLICATION,
    reader=one("duration", seconds(0.1, 3600, fractional=True, bare=True)),
    help="How long one check may take.",
    default="2s",
)
CHECK_RISE: Flag[int] = Flag(
    name="check-rise",
    group=Group.PUBLICATION,
    reader=one("number", integer(1, 1000)),
    help="Advertise after so many passes in a row.",
    default="1",
)
CHECK_FALL: Flag[int] = Flag(
    name="check-fall",
    group=Group.PUBLICATION,
    reader=one("number", integer(1, 1000)),
    help="Withdraw after so many failures in a row.",
    default="3",
)
CHECK_CA: Flag[str | None] = Flag(
    name="check-ca",
    group=Group.PUBLICATION,
    reader=optional("path", str),
    help="The certificate authorities that https checks trust, such as /etc/kubernetes/pki/ca.crt.",
    shown_default="those of the system",
)
CHECK_SERVER_NAME: Flag[str | None] = Flag(
    name="check-server-name",
    group=Group.PUBLICATION,
    reader=optional("name", str),
    help="The name that the server's certificate must have. That of an API server has the name kubernetes,"
    " and often not the address 127.0.0.1.",
    shown_default="the host in the URL",
)
CHECK_INSECURE: Flag[bool] = Flag(
    name="check-insecure",
    group=Group.PUBLICATION,
    reader=SWITCH,
    help="Let https checks take any certificate.",
    default="false",
)
SHUTDOWN: Flag[str] = Flag(
    name="shutdown",
    group=Group.STOPPING,
    reader=one("mode", choice("withdraw", "graceful-restart")),
    help="What SIGTERM does. withdraw: withdraw everything, then close the sessions. graceful-restart: close"
    " the connections and let peers with gracefulRestart keep the routes.",
    default="withdraw",
)
HEALTH_ADDRESS: Flag[Address] = Flag(
    name="health-address",
    group=Group.PROCESS,
    reader=one("address", readers.address),
    help="The address to serve /livez, /readyz and /metrics on.",
    default="127.0.0.1",
)
HEALTH_PORT: Flag[int] = Flag(
    name="health-port",
    group=Group.PROCESS,
    reader=one("port", integer(0, 65535)),
    help="The TCP port to serve them on; 0 serves nothing.",
    default=str(DEFAULT_HEALTH_PORT),
)
CONTROL_SOCKET: Flag[str | None] = Flag(
    name="control-socket",
    group=Group.PROCESS,
    reader=optional("path", str),
    help="A unix socket (mode 0600) for speaker status and speaker routes to talk to.",
    shown_default="none",
)

ADVERTISE_FLAGS: tuple[Flag[object], ...] = (
    CONFIG,
    ADVERTISE_IP,
    COMMUNITY,
    LOCAL_PREFERENCE,
    MED,
    CHECK,
    CHECK_INTERVAL,
    CHECK_TIMEOUT,
    CHECK_RISE,
    CHECK_FALL,
    CHECK_CA,
    CHECK_SERVER_NAME,
    CHECK_INSECURE,
    SHUTDOWN,
    DRAIN_SECONDS,
    HEALTH_ADDRESS,
    HEALTH_PORT,
    CONTROL_SOCKET,
    LOG_FORMAT,
    LOG_LEVEL,
)
