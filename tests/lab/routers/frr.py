"""FRR: zebra, bgpd and, where asked for, bfdd, as most sites run them on a top-of-rack router."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path as FilePath
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix
from tests.lab.routers import frr_config
from tests.lab.routers.privacy import private
from tests.lab.routers.router import Router
from tests.lab.routers.table import Path, SessionInfo, SessionState, community, ordered

PROGRAMS = FilePath("/usr/lib/frr")

_READ_SECONDS = 10.0
_END_LENGTH = 4
_REFUSED = re.compile(r"config line|[Uu]nknown command|% Invalid")
_STATES = {"clearing": SessionState.IDLE, "deleted": SessionState.IDLE}


class Frr(Router):
    """An FRR in a namespace, asked through bgpd's own vty socket."""

    name: ClassVar[str] = "frr"
    package: ClassVar[str] = "frr"
    programs: ClassVar[tuple[str, ...]] = tuple(str(PROGRAMS / name) for name in ("zebra", "bgpd", "bfdd"))
    installs_routes: ClassVar[bool] = True

    async def start(self) -> None:
        """Start zebra, then the daemons that need its socket."""
        await self._daemon("zebra", "")
        await self._wait_socket("zserv.api")
        if any(each.bfd for each in self.config.neighbors):
            await self._daemon("bfdd", frr_config.bfdd(self.config), "--bfdctl", f"{self.folder}/bfdd.sock")
        listen = [option for address in self.config.listen for option in ("--listenon", str(address))]
        await self._daemon("bgpd", frr_config.bgpd(self.config), "--bgp_port", str(self.config.port), *listen)
        await self._wait_listening()

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths in bgpd's tables, whether its own or a peer's."""
        found: dict[Prefix, tuple[Path, ...]] = {}
        async with self._vty("bgpd") as vty:
            for each in self.config.families if family is None else (family,):
                table = json.loads(await vty.ask(f"show bgp {each} unicast json"))
                # The table has no communities; that of a single prefix has all.
                for prefix in table.get("routes", {}):
                    detail = json.loads(await vty.ask(f"show bgp {each} unicast {prefix} json") or "{}")
                    # The prefix may have gone since.
                    if detail.get("paths"):
                        found[ip_network(prefix)] = ordered(_path(path) for path in detail["paths"])
        return found

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        answer = await self.command_json("show bgp neighbors json")
        found = {}
        for text, fields in answer.items():
            # Beside the peers there may be scalars about the VRF.
            if isinstance(fields, dict) and "bgpState" in fields:
                peer = ip_address(text)
                found[peer] = _session(peer, fields)
        return found

    async def command(self, text: str, daemon: str = "bgpd") -> str:
        """What a daemon answers to a command of vtysh(1) in enabled mode.

        Raises:
            RuntimeError: it refused the command.
        """
        async with self._vty(daemon) as vty:
            return await vty.ask(text)

    async def command_json(self, text: str) -> dict[str, Any]:
        """The same for a command that answers in JSON."""
        answer: dict[str, Any] = json.loads(await self.command(text) or "{}")
        return answer

    async def ask_again(self, peer: Address) -> None:
        """Send ROUTE-REFRESH."""
        for family in self.config.families:
            await self.command(f"clear bgp {family} unicast {peer} soft in")

    async def disable(self, peer: Address, reason: str) -> None:
        """Configure the neighbor as shut down."""
        line = f"neighbor {peer} shutdown message {reason}"
        await self.configure(f"router bgp {self.config.asn}", line)

    async def configure(self, *lines: str) -> None:
        """Type lines in configuration mode, as `router bgp 65030` and what belongs below it."""
        async with self._vty("bgpd") as vty:
            for line in ("configure terminal", *lines):
                await vty.ask(line)

    @asynccontextmanager
    async def _vty(self, daemon: str) -> AsyncIterator["_Vty"]:
        async with asyncio.timeout(_READ_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(self.folder / f"{daemon}.vty"))
            try:
                vty = _Vty(reader, writer)
                await vty.ask("enable")
                yield vty
            finally:
                writer.close()
                await writer.wait_closed()

    async def _daemon(self, program: str, configuration: str, *options: str) -> None:
        folder = self.folder
        for stale in (folder / f"{program}.vty", folder / f"{program}.pid"):
            stale.unlink(missing_ok=True)
        if program == "zebra":
            (folder / "zserv.api").unlink(missing_ok=True)
        file = folder / f"{program}.conf"
        file.write_text(configuration, encoding="utf-8")
        where = ("--vty_socket", str(folder), "-z", f"{folder}/zserv.api", "-i", f"{folder}/{program}.pid")
        argv = [
            str(PROGRAMS / program),
            *("-u", "frr", "-g", "frr", "-P", "0", "-f", str(file)),
            *("--log", "stdout", *where, *options),
        ]
        await self._spawn(program, *private(folder, argv, users=["frr"], groups=["frr", "frrvty"]))
        await self._wait_socket(f"{program}.vty")
        # Its configuration is read after the socket is made, and before the first command is answered.
        await self.command("show version", program)
        # FRR leaves out the lines that it does not accept, and goes on.
        refused = [line for line in self.log().splitlines() if _REFUSED.search(line)]
        if refused:
            raise RuntimeError(f"{self} refused lines of its configuration:\n" + "\n".join(refused))


class _Vty:
    """One conversation with a daemon of FRR over its vty socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, text: str) -> str:
        """The answer to one command: on the wire it ends with three zero bytes and a status."""
        self._writer.write(text.encode() + b"\0")
        received = b""
        while not (len(received) >= _END_LENGTH and received[-_END_LENGTH:-1] == b"\0\0\0"):
            block = await self._reader.read(1 << 16)
            if not block:
                raise ConnectionError("the daemon closed its vty socket")
            received += block
        reply = received[:-_END_LENGTH].decode(errors="replace")
        if received[-1] != 0:
            raise RuntimeError(f"FRR refused {text!r}: {reply.strip()}")
        return reply


def _path(fields: dict[str, Any]) -> Path:
    # "peer" is a document about the peer; a path of the router's own has an unspecified address there.
    peer = fields.get("peer", {}).get("peerId", "")
    hops = [hop["ip"] for hop in fields.get("nexthops", ()) if hop.get("scope") != "link-local"]
    communities = [fields.get(key, {}).get("list", ()) for key in ("community", "largeCommunity")]
    return Path(
        next_hop=ip_address(hops[0]) if hops else None,
        peer=_peer(peer),
        as_path=tuple(
            int(asn) for asn in fields.get("aspath", {}).get("string", "").split() if asn.isdigit()
        ),
        local_pref=fields.get("locPrf"),
        med=fields.get("metric"),
        communities=frozenset(community(text) for each in communities for text in each),
        best=bool(fields.get("bestpath", {}).get("overall")),
        stale=bool(fields.get("stale")),
    )


def _peer(text: str) -> Address | None:
    try:
        peer = ip_address(text)
    except ValueError:
        return None
    return None if peer.is_unspecified else peer


def _session(peer: Address, fields: dict[str, Any]) -> SessionInfo:
    state = fields["bgpState"].lower()
    hold = fields.get("bgpTimerHoldTimeMsecs")
    keys = ("lastNotificationReason", "lastShutdownDescription")
    errors = [fields[key] for key in keys if fields.get(key)]
    return SessionInfo(
        peer=peer,
        state=_STATES.get(state) or SessionState(state),
        asn=fields.get("remoteAs"),
        router_id=fields.get("remoteRouterId"),
        hold_seconds=hold // 1000 if hold is not None else None,
        last_error=": ".join(errors) or fields.get("lastResetDueTo"),
        received=fields.get("messageStats", {}).get("updatesRecv"),
    )
