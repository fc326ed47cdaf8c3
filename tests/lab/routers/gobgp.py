"""GoBGP: a BGP stack of another family; it keeps a table and forwards nothing."""

import asyncio
import json
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix, family_of
from tests.lab.routers import gobgp_config
from tests.lab.routers.router import Router
from tests.lab.routers.table import Path, SessionInfo, SessionState, ordered

_STATES = (
    SessionState.IDLE,
    SessionState.IDLE,
    SessionState.CONNECT,
    SessionState.ACTIVE,
    SessionState.OPEN_SENT,
    SessionState.OPEN_CONFIRM,
    SessionState.ESTABLISHED,
)
_READ_SECONDS = 10.0

# Path attribute type codes (RFC 4271 section 5.1, RFC 1997, RFC 4760, RFC 8092).
_AS_PATH, _NEXT_HOP, _MED, _LOCAL_PREF, _COMMUNITIES, _MP_REACH, _LARGE = 2, 3, 4, 5, 8, 14, 32


class GoBgp(Router):
    """A gobgpd in a namespace, asked by the gobgp command over a unix socket."""

    name: ClassVar[str] = "gobgp"
    package: ClassVar[str] = "gobgpd"
    programs: ClassVar[tuple[str, ...]] = ("gobgpd", "gobgp")
    installs_routes: ClassVar[bool] = False

    async def start(self) -> None:
        """Start gobgpd and have it originate what it shall; its own file has no word for that."""
        file = self.folder / "gobgpd.toml"
        file.write_text(gobgp_config.render(self.config), encoding="utf-8")
        (self.folder / "api.sock").unlink(missing_ok=True)
        api = ("--api-hosts", self._api, "--pprof-disable")
        await self._spawn("gobgpd", "gobgpd", "-f", str(file), "-p", *api)
        await self._wait_ready(self._has_begun)
        await self._wait_listening()
        # Its neighbors come after its socket.
        configured = len(self.config.addresses)
        await self.wait_sessions(lambda found: len(found) >= configured, what="its configured neighbors")
        for prefix in self.config.originate:
            await self.command("global", "rib", "add", "-a", family_of(prefix), str(prefix))

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths in its global table."""
        found: dict[Prefix, tuple[Path, ...]] = {}
        for each in self.config.families if family is None else (family,):
            table = json.loads(await self.command("-j", "global", "rib", "-a", each) or "{}")
            for prefix, paths in table.items():
                # An additional path has its identifier in front of the prefix.
                key = ip_network(prefix.rpartition(":")[2] if each is Family.IPV4 else prefix)
                found[key] = ordered((*found.get(key, ()), *(_path(path) for path in paths)))
        return found

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        found = {}
        for fields in json.loads(await self.command("-j", "neighbor") or "[]"):
            info = _session(fields)
            found[info.peer] = info
        return found

    async def disable(self, peer: Address, reason: str) -> None:
        """Disable the neighbor."""
        await self.command("neighbor", str(peer), "disable", "--reason", reason)

    async def command(self, *arguments: str) -> str:
        """What gobgp(8) prints.

        Raises:
            RuntimeError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *("gobgp", "--target", self._api, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_READ_SECONDS):
            output, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"gobgp {' '.join(arguments)}: {(errors or output).decode().strip()}")
        return output.decode()

    async def _has_begun(self) -> bool:
        # The socket is there before the configuration is read, and the AS only after.
        try:
            started = json.loads(await self.command("-j", "global") or "{}")
        except RuntimeError:
            return False
        return bool(started.get("asn") == self.config.asn)

    @property
    def _api(self) -> str:
        return f"unix://{self.folder}/api.sock"


def _path(fields: dict[str, Any]) -> Path:
    attributes = {each["type"]: each for each in fields["attrs"]}
    hop = attributes.get(_MP_REACH, attributes.get(_NEXT_HOP, {})).get("nexthop")
    peer = fields.get("neighbor-ip")
    return Path(
        next_hop=ip_address(hop) if hop else None,
        # A path of its own has no neighbor, or the unspecified address.
        peer=ip_address(peer) if peer and peer != "<nil>" and not ip_address(peer).is_unspecified else None,
        as_path=tuple(
            asn
            for segment in attributes.get(_AS_PATH, {}).get("as_paths") or ()
            for asn in segment.get("asns") or ()
        ),
        local_pref=attributes.get(_LOCAL_PREF, {}).get("value"),
        med=attributes.get(_MED, {}).get("metric"),
        communities=frozenset(_communities(attributes)),
        best=bool(fields.get("best")),
        stale=bool(fields.get("stale")),
    )


def _communities(attributes: dict[int, dict[str, Any]]) -> Iterator[str]:
    for value in attributes.get(_COMMUNITIES, {}).get("communities", ()):
        yield f"{value >> 16}:{value & 0xFFFF}"
    for large in attributes.get(_LARGE, {}).get("value", ()):
        yield f"{large['ASN']}:{large['LocalData1']}:{large['LocalData2']}"


def _session(fields: dict[str, Any]) -> SessionInfo:
    # What is zero or empty is left out of the answer altogether.
    state = fields.get("state", {})
    hold = fields.get("timers", {}).get("state", {}).get("negotiated_hold_time")
    router_id = state.get("router_id")
    return SessionInfo(
        peer=ip_address(state.get("neighbor_address") or fields["conf"]["neighbor_address"]),
        state=_STATES[state.get("session_state", 0)],
        asn=state.get("peer_asn"),
        router_id=str(IPv4Address(router_id)) if router_id else None,
        hold_seconds=int(hold) if hold is not None else None,
        received=state.get("messages", {}).get("received", {}).get("update", 0),
    )
