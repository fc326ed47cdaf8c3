"""What routers are asked for, as values: paths, tables and sessions, the same for every daemon."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from speaker.model.prefix import Address, Prefix, sort_key


class SessionState(StrEnum):
    """The states of RFC 4271 section 8.2.2."""

    IDLE = "idle"
    CONNECT = "connect"
    ACTIVE = "active"
    OPEN_SENT = "opensent"
    OPEN_CONFIRM = "openconfirm"
    ESTABLISHED = "established"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One BGP session as the router sees it; None is what the daemon does not tell."""

    peer: Address
    state: SessionState
    asn: int | None = None
    router_id: str | None = None
    hold_seconds: int | None = None
    """The negotiated hold time."""
    last_error: str | None = None
    """Why the last session ended; with the peer's own words (RFC 9003) if it sent any."""
    received: int | None = None
    """How many UPDATEs came in this session; BIRD counts routes in them."""
    capabilities: frozenset[str] | None = None
    """What the peer offered in its OPEN, by the names of `tests.lab.routers.capabilities`."""

    @property
    def established(self) -> bool:
        """Whether routes can flow."""
        return self.state is SessionState.ESTABLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdInfo:
    """One BFD session (RFC 5880) as the router sees it."""

    peer: Address
    up: bool
    transmit_milliseconds: float
    """The time between the packets that it sends: the larger of what both ends ask for."""
    detection_milliseconds: float
    """The silence after which it takes the peer for down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One path to a prefix in the router's Loc-RIB or Adj-RIB-In; None is what the daemon does not tell."""

    next_hop: Address | None
    """None for what the router itself originates."""
    peer: Address | None
    as_path: tuple[int, ...] = ()
    local_pref: int | None = None
    med: int | None = None
    communities: frozenset[str] = frozenset()
    """`65000:100` for communities of RFC 1997, `65000:1:2` for large ones (RFC 8092)."""
    ext_communities: frozenset[str] = frozenset()
    """RFC 4360: `rt:65000:100`, `soo:65000:1`, with an AS number or an IPv4 address, and for all others
    `generic:0x80060000:0x1`: two words of 32 bits, as far as the daemon tells them."""
    best: bool = False
    stale: bool | None = None
    """Kept only because the peer is restarting gracefully (RFC 4724)."""
    path_id: int | None = None
    """The identifier the peer gave the path (RFC 7911); BIRD and GoBGP do not tell."""


# RFC 1997, RFC 3765, RFC 7999, RFC 8326, RFC 9494.
_WELL_KNOWN = {
    "noexport": "65535:65281",
    "noadvertise": "65535:65282",
    "noexportsubconfed": "65535:65283",
    "localas": "65535:65283",
    "nopeer": "65535:65284",
    "blackhole": "65535:666",
    "gracefulshutdown": "65535:0",
    "llgrstale": "65535:6",
    "nollgr": "65535:7",
}

Table = Mapping[Prefix, tuple[Path, ...]]
NextHops = dict[str, set[str]]
"""Prefix to next hops, as strings: what tests compare."""


def next_hops(table: Table) -> NextHops:
    """The prefixes learned from peers with all their next hops; what the router originates is left out."""
    learned: NextHops = {}
    for prefix, paths in table.items():
        hops = {str(path.next_hop) for path in paths if path.peer is not None}
        if hops:
            learned[str(prefix)] = hops
    return learned


def community(text: str) -> str:
    """A community with numbers, whatever name a daemon has for it."""
    return _WELL_KNOWN.get(text.lower().replace("_", "").replace("-", ""), text)


def ext_community(kind: str, value: str) -> str:
    """A route target or route origin, whatever a daemon calls it: `RT`, `ro`, `SoO`."""
    name = kind.lower()
    return f"{'soo' if name == 'ro' else name}:{value}"


def generic_ext_community(number: int) -> str:
    """Any other extended community, from its 64 bits."""
    return f"generic:{number >> 32:#x}:{number & 0xFFFFFFFF:#x}"


def ordered(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths in an order that does not depend on when they came."""
    return tuple(sorted(paths, key=lambda path: (str(path.next_hop), str(path.peer), path.path_id or 0)))


def show_table(table: Table) -> str:
    """A table for a person who asks why a test failed."""
    lines = [
        f"  {prefix} via {path.next_hop} from {path.peer}{' best' if path.best else ''}"
        f"{' stale' if path.stale else ''} as {' '.join(map(str, path.as_path)) or '-'}"
        for prefix in sorted(table, key=sort_key)
        for path in table[prefix]
    ]
    return "\n".join(lines) or "  (no routes)"


def show_sessions(sessions: Mapping[Address, SessionInfo]) -> str:
    """Sessions for the same person."""
    lines = [
        f"  {info.peer} AS{info.asn} {info.state}{f' ({info.last_error})' if info.last_error else ''}"
        for info in sessions.values()
    ]
    return "\n".join(lines) or "  (no sessions)"
