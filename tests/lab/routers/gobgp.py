"""GoBGP: a BGP stack of another family; it keeps a table and forwards nothing."""

import asyncio
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path as FilePath
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix, family_of
from tests.lab.routers import capabilities, gobgp_config
from tests.lab.routers.config import Originated, RouterConfig
from tests.lab.routers.router import Router
from tests.lab.routers.table import (
    Path,
    SessionInfo,
    SessionState,
    ext_community,
    ordered,
)

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

# Path attribute type codes (RFC 4271 section 5.1, RFC 1997, RFC 4760, RFC 4360, RFC 8092).
_AS_PATH, _NEXT_HOP, _MED, _LOCAL_PREF, _COMMUNITIES, _MP_REACH = 2, 3, 4, 5, 8, 14
_EXTENDED, _LARGE = 16, 32

# The types of extended communities with an AS of two octets, an IPv4 address and an AS of four octets, and
# the subtypes with a name of their own (RFC 4360, RFC 5668).
_ADMINISTRATORS = {0, 1, 2}
_SUBTYPES = {2: "rt", 3: "soo"}


class GoBgp(Router):
    """A gobgpd in a namespace, asked by the gobgp command over a unix socket."""

    name: ClassVar[str] = "gobgp"
    package: ClassVar[str] = "gobgpd"
    programs: ClassVar[tuple[str, ...]] = ("gobgpd", "gobgp")
    installs_routes: ClassVar[bool] = False

    async def start(self, *, recovering: bool = False) -> None:
        """Start gobgpd and have it originate what it shall; its own file has no word for that."""
        file = self._write()
        (self.folder / "api.sock").unlink(missing_ok=True)
        options = ("--api-hosts", self._api, "--pprof-disable", *(("-r",) if recovering else ()))
        await self._spawn("gobgpd", "gobgpd", "-f", str(file), "-p", *options)
        await self._wait_ready(self._has_begun)
        await self._wait_listening()
        # Its neighbors come after its socket.
        configured = len(self.config.addresses)
        await self.wait_sessions(lambda found: len(found) >= configured, what="its configured neighbors")
        for each in self.config.originated:
            await self._originate(each)

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths in its global table."""
        found: dict[Prefix, tuple[Path, ...]] = {}
        for each in self.config.families if family is None else (family,):
            table = json.loads(await self.command("-j", "global", "rib", "-a", each) or "{}")
            # An additional path has its identifier in front of the key.
            for paths in table.values():
                key = ip_network(paths[0]["nlri"]["prefix"])
                found[key] = ordered((*found.get(key, ()), *(_path(path, self.config) for path in paths)))
        return found

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        found = {}
        for fields in json.loads(await self.command("-j", "neighbor") or "[]"):
            info = _session(fields)
            found[info.peer] = info
        return found

    async def send_again(self, peer: Address) -> None:
        """Send all routes again."""
        for family in self.config.families:
            await self.command("neighbor", str(peer), "softresetout", "-a", family)

    async def disable(self, peer: Address, reason: str) -> None:
        """Disable the neighbor."""
        await self.command("neighbor", str(peer), "disable", "--reason", reason)

    async def enable(self, peer: Address) -> None:
        """Make the neighbor anew: enabled, it would be idle for five seconds."""
        await self._renew(peer)

    async def reset(self, peer: Address) -> None:
        """Reset the neighbor, then make it anew, with all that it was helped over a restart lost.

        GoBGP would stay idle for half a minute, and its file has no word for how long.
        """
        await self.command("neighbor", str(peer), "reset")
        await self._renew(peer)

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

    async def _renew(self, peer: Address) -> None:
        wanted = self.config
        others = tuple(each for each in wanted.neighbors if each.where != peer)
        self.config = replace(wanted, neighbors=others)
        await self._apply(wanted)
        await self.wait_sessions(lambda found: peer not in found, what="one neighbor less")
        without, self.config = self.config, wanted
        await self._apply(without)
        await self.wait_sessions(lambda found: peer in found, what="the neighbor again")

    async def _apply(self, before: RouterConfig) -> None:
        self._write()
        self.children[-1].send_signal(signal.SIGHUP)
        for each in set(before.originated) - set(self.config.originated):
            await self._rib("del", each)
        for each in set(self.config.originated) - set(before.originated):
            await self._originate(each)

    async def _originate(self, each: Originated) -> None:
        await self._rib("add", each, *gobgp_config.attributes(each))

    async def _rib(self, action: str, each: Originated, *attributes: str) -> None:
        family = family_of(each.prefix)
        await self.command("global", "rib", action, "-a", family, str(each.prefix), *attributes)

    def _write(self) -> FilePath:
        file = self.folder / "gobgpd.toml"
        file.write_text(gobgp_config.render(self.config), encoding="utf-8")
        return file

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


def _path(fields: dict[str, Any], config: RouterConfig) -> Path:
    attributes = {each["type"]: each for each in fields["attrs"]}
    hop = attributes.get(_MP_REACH, attributes.get(_NEXT_HOP, {})).get("nexthop")
    peer = fields.get("neighbor-ip")
    return Path(
        next_hop=ip_address(hop) if hop else None,
        # A path of its own has no neighbor, or the unspecified address.
        peer=config.named(ip_address(peer)) if peer and peer not in {"<nil>", "0.0.0.0", "::"} else None,
        as_path=tuple(
            asn
            for segment in attributes.get(_AS_PATH, {}).get("as_paths") or ()
            for asn in segment.get("asns") or ()
        ),
        local_pref=attributes.get(_LOCAL_PREF, {}).get("value"),
        med=attributes.get(_MED, {}).get("metric"),
        communities=frozenset(_communities(attributes)),
        ext_communities=frozenset(_ext_communities(attributes)),
        best=bool(fields.get("best")),
        stale=bool(fields.get("stale")),
    )


def _communities(attributes: dict[int, dict[str, Any]]) -> Iterator[str]:
    for value in attributes.get(_COMMUNITIES, {}).get("communities", ()):
        yield f"{value >> 16}:{value & 0xFFFF}"
    for large in attributes.get(_LARGE, {}).get("value", ()):
        yield f"{large['ASN']}:{large['LocalData1']}:{large['LocalData2']}"


def _ext_communities(attributes: dict[int, dict[str, Any]]) -> Iterator[str]:
    for each in attributes.get(_EXTENDED, {}).get("value", ()):
        # GoBGP shows the others each in a form of its own, from which the bits do not come back.
        if each["type"] in _ADMINISTRATORS and each["subtype"] in _SUBTYPES:
            yield ext_community(_SUBTYPES[each["subtype"]], _plain(each["value"]))


def _plain(text: str) -> str:
    """An AS number of four octets without the dot it is shown with (RFC 5396)."""
    high, _, rest = text.partition(".")
    low, _, number = rest.partition(":")
    return f"{(int(high) << 16) + int(low)}:{number}" if low.isdigit() else text


def _session(fields: dict[str, Any]) -> SessionInfo:
    # What is zero or empty is left out of the answer altogether.
    state = fields.get("state", {})
    hold = fields.get("timers", {}).get("state", {}).get("negotiated_hold_time")
    router_id = state.get("router_id")
    told = state.get("remote_cap")
    return SessionInfo(
        peer=ip_address(state.get("neighbor_address") or fields["conf"]["neighbor_address"]),
        state=_STATES[state.get("session_state", 0)],
        asn=state.get("peer_asn"),
        router_id=str(IPv4Address(router_id)) if router_id else None,
        hold_seconds=int(hold) if hold is not None else None,
        received=state.get("messages", {}).get("received", {}).get("update", 0),
        capabilities=capabilities.from_gobgp(told) if told else None,
    )
