"""OpenBGPD: strict about the standards; on Linux it keeps a table and forwards nothing."""

import asyncio
import json
from ipaddress import ip_address, ip_network
from pathlib import Path as FilePath
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix, family_of
from tests.lab.routers import openbgpd_config
from tests.lab.routers.privacy import private
from tests.lab.routers.router import Router
from tests.lab.routers.table import Path, SessionInfo, SessionState, community, ordered

USER = "_openbgpd"
PROGRAM = "/usr/sbin/bgpd"

_READ_SECONDS = 10.0
_SETGROUPS = FilePath("/proc/self/setgroups")
_STATES = {"None": SessionState.IDLE}


class OpenBgpd(Router):
    """An OpenBGPD in a namespace, asked by bgpctl(8)."""

    name: ClassVar[str] = "openbgpd"
    package: ClassVar[str] = "openbgpd"
    programs: ClassVar[tuple[str, ...]] = (PROGRAM, "bgpctl")
    installs_routes: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> str | None:
        """It insists on giving up its groups, which a user namespace of one user does not permit."""
        if _SETGROUPS.read_text(encoding="ascii").strip() == "deny":
            return "openbgpd needs root, for it gives up its groups"
        return super().missing()

    async def start(self) -> None:
        """Write bgpd.conf, which must be secret, start bgpd and wait for its answer."""
        file = self.folder / "bgpd.conf"
        file.touch(mode=0o600)
        file.write_text(openbgpd_config.render(self.config, self.folder), encoding="utf-8")
        (self.folder / "bgpd.sock").unlink(missing_ok=True)
        argv = [PROGRAM, "-d", "-f", str(file)]
        await self._spawn("bgpd", *private(self.folder, argv, users=[USER], groups=[USER]))
        await self._wait_socket("bgpd.sock")
        await self._wait_listening()

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths in its Loc-RIB's table, whether chosen or not."""
        found: dict[Prefix, list[Path]] = {}
        for fields in (await self.command("show", "rib", "detail")).get("rib", ()):
            prefix = ip_network(fields["prefix"])
            if family is None or family_of(prefix) is family:
                found.setdefault(prefix, []).append(_path(fields))
        return {prefix: ordered(paths) for prefix, paths in found.items()}

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        found = {}
        for fields in (await self.command("show", "neighbor")).get("neighbors", ()):
            # The template of a range has a prefix for an address.
            if "/" not in fields["remote_addr"]:
                info = _session(fields)
                found[info.peer] = info
        return found

    async def ask_again(self, peer: Address) -> None:
        """Send ROUTE-REFRESH."""
        await self._ctl("neighbor", str(peer), "refresh")

    async def disable(self, peer: Address, reason: str) -> None:
        """Take the neighbor down."""
        await self._ctl("neighbor", str(peer), "down", reason)

    async def command(self, *arguments: str) -> dict[str, Any]:
        """What bgpctl(8) answers, as JSON.

        Raises:
            RuntimeError: it failed.
        """
        answer: dict[str, Any] = json.loads(await self._ctl("-j", *arguments) or "{}")
        return answer

    async def _ctl(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("bgpctl", "-s", str(self.folder / "bgpd.sock"), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_READ_SECONDS):
            output, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"bgpctl {' '.join(arguments)}: {errors.decode().strip()}")
        return output.decode()


def _path(fields: dict[str, Any]) -> Path:
    # The true next hop is what it resolves to here; the exit next hop is what the peer sent.
    return Path(
        next_hop=ip_address(fields["exit_nexthop"]),
        peer=_peer(fields["neighbor"]["remote_addr"]),
        as_path=tuple(int(asn) for asn in fields["aspath"].split() if asn.isdigit()),
        local_pref=fields.get("localpref"),
        med=fields.get("metric"),
        communities=frozenset(
            map(community, (*fields.get("communities", ()), *fields.get("large_communities", ())))
        ),
        best=bool(fields.get("best")),
        stale=bool(fields.get("stale")),
    )


def _peer(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        # Its own routes have question marks for a neighbor.
        return None


def _session(fields: dict[str, Any]) -> SessionInfo:
    asn = str(fields["remote_as"])
    keys = ("last_error_sent", "last_error_received", "last_shutdown_reason")
    errors = [str(fields[key]) for key in keys if fields.get(key)]
    return SessionInfo(
        peer=ip_address(fields["remote_addr"]),
        state=_STATES.get(fields["state"]) or SessionState(fields["state"].lower()),
        asn=int(asn) if asn.isdigit() else None,
        router_id=fields.get("bgpid"),
        hold_seconds=fields.get("session", {}).get("holdtime"),
        last_error=": ".join(errors) or None,
        received=fields.get("stats", {}).get("message", {}).get("received", {}).get("updates"),
    )
