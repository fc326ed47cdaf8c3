"""OpenBGPD: strict about the standards; on Linux it keeps a table and forwards nothing."""

import asyncio
import json
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix, family_of
from tests.lab.routers import openbgpd_config
from tests.lab.routers.privacy import private
from tests.lab.routers.router import Router
from tests.lab.routers.table import Path, SessionInfo, SessionState, community, ordered

USER = "_openbgpd"

_READ_SECONDS = 10.0
_STATES = {"None": SessionState.IDLE}


class OpenBgpd(Router):
    """An OpenBGPD in a namespace, asked by bgpctl(8)."""

    name: ClassVar[str] = "openbgpd"
    installs_routes: ClassVar[bool] = False

    async def start(self) -> None:
        """Write bgpd.conf, which must be secret, start bgpd and wait for its answer."""
        file = self.folder / "bgpd.conf"
        file.touch(mode=0o600)
        file.write_text(openbgpd_config.render(self.config, self.folder), encoding="utf-8")
        (self.folder / "bgpd.sock").unlink(missing_ok=True)
        argv = ["/usr/sbin/bgpd", "-d", "-f", str(file)]
        await self._spawn("bgpd", *private(self.folder, argv, users=[USER], groups=[USER]))
        await self._wait_ready((self.folder / "bgpd.sock").exists)

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

    async def command(self, *arguments: str) -> dict[str, Any]:
        """What bgpctl(8) answers, as JSON.

        Raises:
            RuntimeError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *("bgpctl", "-s", str(self.folder / "bgpd.sock"), "-j", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_READ_SECONDS):
            output, errors = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"bgpctl {' '.join(arguments)}: {errors.decode().strip()}")
        answer: dict[str, Any] = json.loads(output or "{}")
        return answer


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
    return SessionInfo(
        peer=ip_address(fields["remote_addr"]),
        state=_STATES.get(fields["state"]) or SessionState(fields["state"].lower()),
        asn=int(asn) if asn.isdigit() else None,
        router_id=fields.get("bgpid"),
        hold_seconds=fields.get("session", {}).get("holdtime"),
        last_error=fields.get("last_error_received") or fields.get("last_error_sent"),
    )
