"""BIRD's answers, read: its control protocol is lines for people, and this is their grammar.

Knows `show route all`, `show protocols all` and `show bfd sessions` of BIRD 2.0. A reply line begins with a
code of four digits and a dash or, at the end, a blank; one of the same code may begin with one blank instead.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import takewhile
from typing import Any

from speaker.model.prefix import Address, Prefix
from tests.lab.routers import capabilities
from tests.lab.routers.table import (
    BfdInfo,
    Path,
    SessionInfo,
    SessionState,
    ext_community,
    generic_ext_community,
)

_ROUTE = re.compile(
    r"^(?P<prefix>[0-9a-f.:]+/\d+)?\s+\S+ \[(?P<protocol>\S+) [^\]]*\]\s*(?P<best>\*)?\s*"
    r"\(\d+(?P<marks>[^)\s]*)"
)
_CODE = re.compile(r"^(\d{4})[- ]|^[ +]")
_ATTRIBUTE = re.compile(r"^\s+BGP\.(\w+):\s*(.*)$")
_EXT_COMMUNITY = re.compile(r"\((\w+), ([^,)]+), ([^,)]+)\)")
_COMMUNITY = re.compile(r"\(([\d, ]+)\)")
_CAPABILITIES = "Neighbor capabilities"
_BFD = re.compile(
    r"^(?P<peer>[0-9a-f.:]+)\s+(?P<device>\S+)\s+(?P<state>\w+)\s+\S+\s+(?P<interval>[\d.]+)\s+"
    r"(?P<timeout>[\d.]+)"
)
_PROTOCOL = re.compile(r"^(?P<name>\S+)\s+BGP\s")
_FIELD = re.compile(r"^\s+([A-Z][\w ]+?):\s+(.*)$")

# What BIRD calls its states beyond those of RFC 4271 section 8.2.2.
_STATES = {"passive": SessionState.ACTIVE, "close": SessionState.IDLE, "down": SessionState.IDLE}


def lines(reply: str) -> Iterator[str]:
    """The lines of a reply without their codes; empty ones are left out."""
    for line in reply.splitlines():
        text = _CODE.sub("", line, count=1)
        if text.strip():
            yield text


def parse_routes(reply: str, sessions: Mapping[str, SessionInfo]) -> Iterator[tuple[Prefix, Path]]:
    """Each path in the answer to `show route all`; `sessions` has what is behind each protocol's name."""
    prefix: Prefix | None = None
    path: Path | None = None
    for line in lines(reply):
        head = _ROUTE.match(line)
        if head is not None:
            if prefix is not None and path is not None:
                yield prefix, path
            if head["prefix"]:
                prefix = ip_network(head["prefix"])
            session = sessions.get(head["protocol"])
            # BIRD marks what it keeps for a restarting peer only when that is back.
            stale = "s" in head["marks"] or (session is not None and not session.established)
            peer = None if session is None else session.peer
            path = Path(next_hop=None, peer=peer, best=bool(head["best"]), stale=stale)
        elif path is not None and (attribute := _ATTRIBUTE.match(line)):
            path = _with_attribute(path, attribute[1], attribute[2].strip())
    if prefix is not None and path is not None:
        yield prefix, path


def _with_attribute(path: Path, name: str, value: str) -> Path:
    if name in {"community", "large_community"}:
        found = {text.replace(" ", "").replace(",", ":") for text in _COMMUNITY.findall(value)}
        return replace(path, communities=path.communities | found)
    if name not in _READERS:
        return path
    field, read = _READERS[name]
    changed: dict[str, Any] = {field: read(value)}
    return replace(path, **changed)


def _next_hop(value: str) -> Address:
    # An IPv6 next hop may have its link-local companion after it (RFC 2545 section 3), or be only that.
    hops = [ip_address(each) for each in value.split()]
    return next((hop for hop in hops if not hop.is_unspecified), hops[0])


def _as_path(value: str) -> tuple[int, ...]:
    return tuple(int(asn) for asn in value.split() if asn.isdigit())


def _ext_communities(value: str) -> frozenset[str]:
    return frozenset(map(_ext_community, _EXT_COMMUNITY.findall(value)))


def _ext_community(found: tuple[str, str, str]) -> str:
    kind, high, low = found
    if kind == "generic":
        return generic_ext_community(int(high, 16) << 32 | int(low, 16))
    return ext_community(kind, f"{high}:{low}")


# Which field of a path each of BIRD's attributes is, and how it is read.
_READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "next_hop": ("next_hop", _next_hop),
    "as_path": ("as_path", _as_path),
    "local_pref": ("local_pref", int),
    "med": ("med", int),
    "ext_community": ("ext_communities", _ext_communities),
}


def parse_bfd(reply: str) -> dict[Address, BfdInfo]:
    """The answer to `show bfd sessions`."""
    found = {}
    for line in lines(reply):
        if row := _BFD.match(line):
            peer = ip_address(row["peer"])
            if peer.is_link_local and peer.version == 6:
                peer = IPv6Address(f"{peer}%{row['device']}")
            found[peer] = BfdInfo(
                peer=peer,
                up=row["state"] == "Up",
                transmit_milliseconds=float(row["interval"]) * 1000,
                detection_milliseconds=float(row["timeout"]) * 1000,
            )
    return found


def parse_sessions(reply: str) -> dict[str, SessionInfo]:
    """The sessions in the answer to `show protocols all`, by protocol name; a range is none."""
    blocks: dict[str, list[str]] = {}
    block: list[str] = []
    for line in lines(reply):
        if line[0].isspace():
            block.append(line)
        else:
            head = _PROTOCOL.match(line)
            block = blocks.setdefault(head["name"], []) if head else []
    return {name: session for name, each in blocks.items() if (session := _session(each)) is not None}


def _session(block: list[str]) -> SessionInfo | None:
    fields: dict[str, str] = {}
    for line in block:
        if field := _FIELD.match(line):
            # The first of a name is the session's; channels repeat some below it.
            fields.setdefault(field[1], field[2].strip())
    if "Neighbor address" not in fields:
        return None
    state = fields.get("BGP state", "Down").lower()
    hold = fields.get("Hold timer", "").partition("/")[2]
    asn = fields.get("Neighbor AS", "")
    # The first number of the row is what came, before any filter.
    received = fields.get("Import updates", "").split()
    return SessionInfo(
        # A link-local address has its interface behind a percent sign, others may have a port.
        peer=ip_address(fields["Neighbor address"].split()[0]),
        state=_STATES.get(state) or SessionState(state),
        asn=int(asn) if asn.isdigit() else None,
        router_id=fields.get("Neighbor ID"),
        hold_seconds=int(hold) if hold.isdigit() else None,
        last_error=": ".join(fields[name] for name in ("Last error", "Message") if name in fields) or None,
        received=int(received[0]) if received else None,
        capabilities=_capabilities(block),
    )


def _capabilities(block: list[str]) -> frozenset[str] | None:
    headings = [line.strip() for line in block]
    if _CAPABILITIES not in headings:
        return None
    start = headings.index(_CAPABILITIES)
    depth = _depth(block[start])
    return capabilities.from_bird(takewhile(lambda line: _depth(line) > depth, block[start + 1 :]))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
