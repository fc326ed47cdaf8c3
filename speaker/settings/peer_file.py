"""A file of peers: what `speaker advertise` and `speaker preflight` are told without a cluster.

Knows the format: `localIP`, `localASN` and `peers: [{peerIP, peerASN}]` as GKE on bare metal writes them,
and our own options, at top level for every peer or in one peer. Does no I/O and loads no YAML: it is given
what the file holds, already loaded, and names of password files, which others read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import MappingProxyType
from typing import TypeVar

from speaker.errors import UsageError
from speaker.model.peer import Password, Peer, PeerRange
from speaker.model.prefix import Address, Family, Prefix, family_of
from speaker.settings import peer_options as options
from speaker.settings.peer_checks import check_peer, check_together
from speaker.settings.peer_fields import Field, Mapped, Spot
from speaker.settings.peer_options import Options
from speaker.settings.peer_rows import (
    DESCRIPTION,
    LIMIT,
    LISTEN_ADDRESSES,
    LISTEN_PORT,
    LOCAL_ASN,
    LOCAL_IP,
    NAME,
    PEER_ASN,
    PEER_FIELDS,
    PEER_IP,
    PEER_RANGE,
    PEERS,
    ROUTER_ID,
    TOP_FIELDS,
)

T = TypeVar("T")

DEFAULT_BGP_PORT = 179
NAMED_PEERS = 5
"""How many peers a notice names."""

_NO_ASN, _NO_PEER_ASN = 0, -1
"""Stand in while the rest is checked; unequal, so that nothing seems to be iBGP."""

ADVICE = {
    "password": "a password does not stand in this file: write it into a file of its own, which others"
    " cannot read, and name that with passwordFile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFile:
    """What a file of peers says.

    Attributes:
        local_ip: the address of this host that sessions of its family begin at.
        local_asn: our AS number; a peer may have another one for itself.
        router_id: our BGP Identifier.
        peers: in the file's order, without their passwords.
        ranges: peers that are not named one by one, without their passwords.
        listen_port: None opens no listening socket.
        listen_addresses: none means every address of both families.
        password_files: the path of the password's file, by the name of the peer or of the range's template.
        notices: what is right but should be told, a sentence each.
    """

    local_ip: Address
    local_asn: int
    router_id: IPv4Address
    peers: tuple[Peer, ...]
    ranges: tuple[PeerRange, ...] = ()
    listen_port: int | None = None
    listen_addresses: tuple[Address, ...] = ()
    password_files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notices: tuple[str, ...] = ()

    def with_passwords(self, passwords: Mapping[str, Password]) -> "PeerFile":
        """The same with the passwords that were read from `password_files`, by the same names."""
        return replace(
            self,
            peers=tuple(replace(peer, password=passwords.get(peer.name)) for peer in self.peers),
            ranges=tuple(
                replace(each, template=replace(each.template, password=passwords.get(each.template.name)))
                for each in self.ranges
            ),
        )


def read_peer_file(document: object, place: str) -> PeerFile:
    """What the file says.

    Args:
        document: the file's one YAML or JSON document, loaded.
        place: what messages call the file.

    Raises:
        UsageError: something is wrong; its text tells every problem, a line each.
    """
    spot = Spot(place, "", [])
    if not isinstance(document, dict):
        raise UsageError(f"{place}: must be a mapping with localIP, localASN and peers")
    top = Mapped(spot, document, TOP_FIELDS, ADVICE)
    common = _Common(top)
    peers_spot = spot.field("peers")
    entries = [
        _Entry(Mapped(peers_spot.item(number), content, PEER_FIELDS, ADVICE), common)
        for number, content in enumerate(_required(top, PEERS, "the peers, each with peerIP and peerASN"))
    ]
    for entry in entries:
        check_peer(entry.options, entry.end, is_ibgp=entry.is_ibgp)
    check_together(
        peers_spot, [(number, entry.name, entry.end) for number, entry in enumerate(entries) if entry.end]
    )
    listen_port = _listen_port(top, entries)
    if spot.problems:
        raise UsageError("\n".join(spot.problems))
    configured = frozenset(family_of(entry.end) for entry in entries if entry.end is not None)
    return PeerFile(
        local_ip=common.local_ip,
        local_asn=common.local_asn,
        router_id=common.router_id,
        peers=tuple(entry.peer(configured) for entry in entries if not entry.is_range),
        ranges=tuple(entry.range(configured) for entry in entries if entry.is_range),
        listen_port=listen_port,
        listen_addresses=top[LISTEN_ADDRESSES],
        password_files=MappingProxyType(
            {entry.name: path for entry in entries if (path := entry.options[options.PASSWORD_FILE])}
        ),
        notices=tuple(_notices(entries)),
    )


class _Common:
    """What holds for every peer."""

    def __init__(self, top: Mapped) -> None:
        self.top = top
        self.local_ip: Address = _required(top, LOCAL_IP, "the address of this host") or IPv4Address(1)
        self.local_asn: int = _required(top, LOCAL_ASN, "our AS number") or _NO_ASN
        self.router_id = self._router_id()

    def _router_id(self) -> IPv4Address:
        given = self.top[ROUTER_ID]
        if given is not None:
            return given
        if isinstance(self.local_ip, IPv4Address):
            return self.local_ip
        if not self.top.names(ROUTER_ID):
            self.top.spot.field(ROUTER_ID.name).problem(
                "must be given, written as an IPv4 address, since localIP is an IPv6 address"
            )
        return IPv4Address(1)


class _Entry:
    """One item of `peers`."""

    def __init__(self, own: Mapped, common: _Common) -> None:
        self.options = Options(own, common.top)
        self._own = own
        self._common = common
        self.is_range = own.names(PEER_RANGE)
        if self.is_range and own.names(PEER_IP):
            own.spot.field(PEER_RANGE.name).problem("excludes peerIP: a peer has an address or a range")
        if self.is_range:
            self._limit = _required(own, LIMIT, "how many peers of the range there may be at once") or 1
        elif own.names(LIMIT):
            own.spot.field(LIMIT.name).problem("is for a peerRange; a peerIP is one peer")
        self._asn: int = _required(own, PEER_ASN, "the peer's AS number") or _NO_PEER_ASN
        self.end: Address | Prefix | None = (
            own[PEER_RANGE] if self.is_range else _required(own, PEER_IP, "the peer's address")
        )
        self.name = own[NAME] or str(self.end)

    @property
    def _local_asn(self) -> int:
        return self._own[LOCAL_ASN] or self._common.local_asn

    @property
    def is_ibgp(self) -> bool:
        return self._asn == self._local_asn

    def peer(self, configured: frozenset[Family]) -> Peer:
        """The peer; of a range, what holds for each of its peers.

        Args:
            configured: the families that peers have addresses of.
        """
        end, given = self.end, self.options
        if end is None:
            raise RuntimeError("a peer without an address was told as a problem before")
        address = end if isinstance(end, IPv4Address | IPv6Address) else end.network_address
        family = family_of(address)
        families = self._families(family, configured)
        return Peer(
            name=self.name,
            address=address,
            asn=self._asn,
            local_asn=self._local_asn,
            router_id=self._common.router_id,
            families=families,
            port=given[options.PEER_PORT],
            hold_time_seconds=given[options.HOLD_TIME],
            keepalive_seconds=given[options.KEEPALIVE_TIME],
            connect_retry_seconds=float(given[options.CONNECT_RETRY]),
            passive=given[options.PASSIVE] or self.is_range,
            multihop_ttl=given[options.EBGP_MULTIHOP],
            ttl_security_hops=given[options.TTL_SECURITY],
            source=self._source(address),
            interface=given[options.INTERFACE],
            # RFC 8950 is IPv4 over IPv6 only: on an IPv4 session there is nothing to extend.
            extended_next_hop=given[options.EXTENDED_NEXT_HOP]
            and family is Family.IPV6
            and Family.IPV4 in families,
            graceful_restart=given[options.GRACEFUL_RESTART],
            description=self._own[DESCRIPTION],
            extended_messages=given[options.EXTENDED_MESSAGES],
            add_path_send=given[options.ADD_PATHS] in {"send", "both"},
            add_path_receive=given[options.ADD_PATHS] in {"receive", "both"},
            role=given[options.ROLE],
            role_strict=given[options.ROLE_STRICT],
            max_prefixes=given[options.MAX_PREFIXES],
            bfd=given[options.BFD],
        )

    def range(self, configured: frozenset[Family]) -> PeerRange:
        """The peers of a range."""
        if not isinstance(self.end, IPv4Network | IPv6Network):
            raise RuntimeError("a range without a prefix was told as a problem before")  # noqa: TRY004
        return PeerRange(prefix=self.end, limit=self._limit, template=self.peer(configured))

    def _families(self, family: Family, configured: frozenset[Family]) -> frozenset[Family]:
        """The session's own, and the other when no peer has an address of it, as with the flags."""
        if self.options[options.FAMILIES]:
            return frozenset(self.options[options.FAMILIES])
        if self.options[options.EXTENDED_NEXT_HOP]:
            return frozenset(Family)
        return frozenset({family} | (set(Family) - configured))

    def _source(self, address: Address) -> Address | None:
        """`sourceAddress`, else `localIP`, where it can reach the peer's address."""
        wanted = self.options[options.SOURCE_ADDRESS] or self._common.local_ip
        # A router takes a link-local neighbour's packets from its link-local address alone.
        same_scope = address.is_link_local == wanted.is_link_local or address.version == 4
        return wanted if family_of(wanted) is family_of(address) and same_scope else None


def _required(mapped: Mapped, wanted: Field[T], what: str) -> T:
    """The value of a field that must be there."""
    if mapped.is_mapping and mapped.raw(wanted) is None:
        mapped.spot.field(wanted.name).problem(f"must be given: {what}")
    return mapped[wanted]


def _listen_port(top: Mapped, entries: Sequence[_Entry]) -> int | None:
    waiting = any(entry.is_range or entry.options[options.PASSIVE] for entry in entries)
    port = top[LISTEN_PORT] or (DEFAULT_BGP_PORT if waiting else None)
    if port is None and top.names(LISTEN_ADDRESSES):
        top.spot.field(LISTEN_ADDRESSES.name).problem("needs listenPort, since no peer is passive")
    return port


def _notices(entries: Sequence[_Entry]) -> Iterator[str]:
    names = [
        entry.name
        for entry in entries
        if (entry.is_range or entry.options[options.PASSIVE]) and entry.options[options.GRACEFUL_RESTART]
    ]
    if names:
        yield (
            f"{', '.join(names[:NAMED_PEERS])}: with passive (or a peerRange) and gracefulRestart the peer"
            " must connect again within restartTime; some wait longer (FRR 210 seconds by default)"
        )
