"""FRR: zebra, bgpd and, where asked for, bfdd and staticd, as most sites run them on a top-of-rack router."""

import json
import re
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_network
from pathlib import Path as FilePath
from typing import Any, ClassVar

from speaker.model.prefix import Address, Family, Prefix
from tests.lab.routers import frr_answers, frr_change, frr_config
from tests.lab.routers.config import RouterConfig, unscoped
from tests.lab.routers.frr_vty import Vty, conversation
from tests.lab.routers.privacy import private
from tests.lab.routers.router import Router
from tests.lab.routers.table import BfdInfo, Path, SessionInfo, ordered

PROGRAMS = FilePath("/usr/lib/frr")

_REFUSED = re.compile(r"config line|[Uu]nknown command|% Invalid")


class Frr(Router):
    """An FRR in a namespace, asked through bgpd's own vty socket."""

    name: ClassVar[str] = "frr"
    package: ClassVar[str] = "frr"
    programs: ClassVar[tuple[str, ...]] = tuple(
        str(PROGRAMS / name) for name in ("zebra", "bgpd", "bfdd", "staticd")
    )
    installs_routes: ClassVar[bool] = True

    async def start(self, *, recovering: bool = False) -> None:
        """Start zebra, then the daemons that need its socket; after a crash only what is not there.

        bgpd tells of a restart whenever it starts, the first time too.
        """
        running = {child.name for child in self.children if recovering and child.running}
        if "zebra" not in running:
            await self._daemon("zebra", frr_config.zebra(self.config))
            await self._wait_socket("zserv.api")
        if any(each.bfd for each in self.config.neighbors) and "bfdd" not in running:
            await self._daemon("bfdd", frr_config.bfdd(self.config), "--bfdctl", f"{self.folder}/bfdd.sock")
        if self.config.static_routes and "staticd" not in running:
            await self._daemon("staticd", frr_config.staticd(self.config))
        listen = [option for address in self.config.listen for option in ("--listenon", str(address))]
        await self._daemon("bgpd", frr_config.bgpd(self.config), "--bgp_port", str(self.config.port), *listen)
        await self._wait_listening()

    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths in bgpd's tables, whether its own or a peer's."""
        found: dict[Prefix, tuple[Path, ...]] = {}
        async with self._talk("bgpd") as vty:
            for each in self.config.families if family is None else (family,):
                table = json.loads(await vty.ask(f"show bgp {each} unicast json"))
                # The table has no communities; that of a single prefix has all.
                for prefix in table.get("routes", {}):
                    detail = json.loads(await vty.ask(f"show bgp {each} unicast {prefix} json") or "{}")
                    # The prefix may have gone since.
                    if detail.get("paths"):
                        found[ip_network(prefix)] = ordered(
                            frr_answers.path(path, self.config) for path in detail["paths"]
                        )
        return found

    async def sessions(self) -> dict[Address, SessionInfo]:
        """The sessions of configured peers, and of those that called from a range."""
        answer = await self.command_json("show bgp neighbors json")
        found = {}
        for text, fields in answer.items():
            # Beside the peers there may be scalars about the VRF.
            if isinstance(fields, dict) and "bgpState" in fields:
                peer = self.config.named(ip_address(text))
                found[peer] = frr_answers.session(peer, fields)
        return found

    async def bfd_sessions(self) -> dict[Address, BfdInfo]:
        """The answer to `show bfd peers json`."""
        answer = json.loads(await self.command("show bfd peers json", "bfdd"))
        found = (frr_answers.bfd(fields, self.config) for fields in answer)
        return {info.peer: info for info in found}

    async def command(self, text: str, daemon: str = "bgpd") -> str:
        """What a daemon answers to a command of vtysh(1) in enabled mode.

        Raises:
            RuntimeError: it refused the command.
        """
        async with self._talk(daemon) as vty:
            return await vty.ask(text)

    async def command_json(self, text: str) -> dict[str, Any]:
        """The same for a command that answers in JSON."""
        answer: dict[str, Any] = json.loads(await self.command(text) or "{}")
        return answer

    async def ask_again(self, peer: Address, family: Family | None = None) -> None:
        """Send ROUTE-REFRESH."""
        for each in self.config.families if family is None else (family,):
            await self.command(f"clear bgp {each} unicast {unscoped(peer)} soft in")

    async def send_again(self, peer: Address) -> None:
        """Send all routes again."""
        for family in self.config.families:
            await self.command(f"clear bgp {family} unicast {unscoped(peer)} soft out")

    async def disable(self, peer: Address, reason: str) -> None:
        """Configure the neighbor as shut down."""
        line = f"neighbor {unscoped(peer)} shutdown message {reason}"
        await self.configure(f"router bgp {self.config.asn}", line)

    async def enable(self, peer: Address) -> None:
        """Configure it as not shut down."""
        await self.configure(f"router bgp {self.config.asn}", f"no neighbor {unscoped(peer)} shutdown")

    async def reset(self, peer: Address) -> None:
        """Clear the session."""
        await self.command(f"clear bgp {unscoped(peer)}")

    async def crash(self) -> None:
        """Kill bgpd; zebra keeps its routes in the kernel."""
        for child in [each for each in self.children if each.name == "bgpd"]:
            await child.kill()
            self.children.remove(child)

    async def configure(self, *lines: str, daemon: str = "bgpd") -> None:
        """Type lines in configuration mode, as `router bgp 65030` and what belongs below it."""
        async with self._talk(daemon) as vty:
            for line in ("configure terminal", *lines):
                await vty.ask(line)

    async def _apply(self, before: RouterConfig) -> None:
        """Type what differs between the configurations."""
        old, new = (frr_config.bgpd(config) for config in (before, self.config))
        await self.configure(*frr_change.lines(old, new))
        if any(each.bfd for each in self.config.neighbors):
            old, new = (frr_config.bfdd(config) for config in (before, self.config))
            await self.configure(*frr_change.lines(old, new), daemon="bfdd")
        if self.config.static_routes:
            old, new = (frr_config.staticd(config) for config in (before, self.config))
            await self.configure(*frr_change.lines(old, new), daemon="staticd")

    def _talk(self, daemon: str) -> AbstractAsyncContextManager[Vty]:
        return conversation(self.folder / f"{daemon}.vty")

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
