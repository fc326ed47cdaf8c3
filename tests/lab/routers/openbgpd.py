"""OpenBGPD: strict about the standards; on Linux it keeps a table and forwards nothing."""

import asyncio
import json
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path as FilePath
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix, family_of
from tests.lab.routers import capabilities, openbgpd_config
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.privacy import private
from tests.lab.routers.router import Router
from tests.lab.routers.table import (
    Path,
    SessionInfo,
    SessionState,
    community,
    ext_community,
    generic_ext_community,
    ordered,
)

USER = "_openbgpd"
PROGRAM = "/usr/sbin/bgpd"

_READ_SECONDS = 10.0
_SETGROUPS = FilePath("/proc/self/setgroups")
_STATES = {"None": SessionState.IDLE}
_RAW = re.compile(r"0x[0-9a-f]{16}\b")


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

    async def start(self, *, recovering: bool = False) -> None:
        """Write bgpd.conf, start bgpd and wait for its answer; it never tells of a restart of its own."""
        del recovering
        file = self._write()
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

    async def ask_again(self, peer: Address, family: Family | None = None) -> None:
        """Send ROUTE-REFRESH, for all families whichever is asked for."""
        del family
        await self._neighbor(peer, "refresh")

    async def disable(self, peer: Address, reason: str) -> None:
        """Take the neighbor down."""
        await self._neighbor(peer, "down", reason)

    async def enable(self, peer: Address) -> None:
        """Take the neighbor up."""
        await self._neighbor(peer, "up")

    async def reset(self, peer: Address) -> None:
        """Clear the session."""
        await self._neighbor(peer, "clear")

    async def command(self, *arguments: str) -> dict[str, Any]:
        """What bgpctl(8) answers, as JSON.

        Raises:
            RuntimeError: it failed.
        """
        answer: dict[str, Any] = json.loads(await self._ctl("-j", *arguments) or "{}")
        return answer

    async def _apply(self, before: RouterConfig) -> None:
        del before
        self._write()
        await self._ctl("reload")

    def _write(self) -> FilePath:
        # It may hold passwords, and bgpd insists that nobody else can read it.
        file = self.folder / "bgpd.conf"
        file.touch(mode=0o600)
        file.write_text(openbgpd_config.render(self.config, self.folder), encoding="utf-8")
        return file

    async def _neighbor(self, peer: Address, *arguments: str) -> None:
        # bgpctl would look for the device of a link-local address where it runs itself.
        names = {
            each.where: openbgpd_config.name(number) for number, each in enumerate(self.config.neighbors)
        }
        await self._ctl("neighbor", names.get(peer, str(peer)), *arguments)

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
        ext_communities=frozenset(_ext_communities(fields)),
        best=bool(fields.get("best")),
        stale=bool(fields.get("stale")),
        path_id=fields.get("path_id"),
    )


def _ext_communities(fields: dict[str, Any]) -> Iterator[str]:
    for text in fields.get("extended_communities", ()):
        if raw := _RAW.search(text):
            # Beyond the type, OpenBGPD shows zeros.
            yield generic_ext_community(int(raw[0], 16))
        else:
            yield ext_community(*text.split(maxsplit=1))


def _peer(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        # Its own routes have question marks for a neighbor.
        return None


def _session(fields: dict[str, Any]) -> SessionInfo:
    asn = str(fields["remote_as"])
    told = fields.get("session", {}).get("remote", {}).get("capabilities")
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
        capabilities=capabilities.from_openbgpd(told) if told is not None else None,
    )
