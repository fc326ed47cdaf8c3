"""BIRD's answers, read: its control protocol is lines for people, and this is their grammar.

Knows `show route all` and `show protocols all` of BIRD 2.0. A reply line begins with a code of four
digits and a dash or, at the end, a blank; a line of the same code may begin with one blank instead.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network

from speaker.model.prefix import Prefix
from tests.lab.routers.table import Path, SessionInfo, SessionState

_ROUTE = re.compile(
    r"^(?P<prefix>[0-9a-f.:]+/\d+)?\s+\S+ \[(?P<protocol>\S+) [^\]]*\]\s*(?P<best>\*)?\s*"
    r"\(\d+(?P<marks>[^)\s]*)"
)
_CODE = re.compile(r"^(\d{4})[- ]|^[ +]")
_ATTRIBUTE = re.compile(r"^\s+BGP\.(\w+):\s*(.*)$")
_COMMUNITY = re.compile(r"\(([\d, ]+)\)")
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
    match name:
        case "next_hop":
            # An IPv6 next hop may have its link-local companion after it (RFC 2545 section 3).
            return replace(path, next_hop=ip_address(value.split(maxsplit=1)[0]))
        case "as_path":
            return replace(path, as_path=tuple(int(asn) for asn in value.split() if asn.isdigit()))
        case "local_pref":
            return replace(path, local_pref=int(value))
        case "med":
            return replace(path, med=int(value))
        case "community" | "large_community":
            found = {text.replace(" ", "").replace(",", ":") for text in _COMMUNITY.findall(value)}
            return replace(path, communities=path.communities | found)
    return path


def parse_sessions(reply: str) -> dict[str, SessionInfo]:
    """The sessions in the answer to `show protocols all`, by protocol name; a range is none."""
    found: dict[str, SessionInfo] = {}
    name: str | None = None
    fields: dict[str, str] = {}
    for line in [*lines(reply), "end "]:
        if line[0].isspace():
            if field := _FIELD.match(line):
                # The first of a name is the session's; channels repeat some below it.
                fields.setdefault(field[1], field[2].strip())
            continue
        if name is not None and "Neighbor address" in fields:
            found[name] = _session(fields)
        head = _PROTOCOL.match(line)
        name, fields = (head["name"] if head else None), {}
    return found


def _session(fields: dict[str, str]) -> SessionInfo:
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
    )
