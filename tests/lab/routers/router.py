"""What every router of the lab can do, whichever daemon it is; the drivers fill in the rest."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, ClassVar, Self

from speaker.model.prefix import Address, Family, Prefix
from tests.lab.net.namespace import Namespace
from tests.lab.processes import Child
from tests.lab.routers import abilities
from tests.lab.routers.config import RouterConfig
from tests.lab.routers.fib import Fib, kernel_fib
from tests.lab.routers.table import (
    BfdInfo,
    NextHops,
    Path,
    SessionInfo,
    Table,
    next_hops,
    show_sessions,
    show_table,
)
from tests.lab.waiting import eventually

WAIT_SECONDS = 10.0

# TCP_LISTEN in the kernel's enumeration of states.
_LISTEN = "0A"


class Router(ABC):
    """A BGP daemon in a namespace: `async with Bird(config, namespace) as router`.

    Its files live in a temporary folder of its own; it dies with the process that started it.
    """

    name: ClassVar[str]
    """What a person calls the daemon."""
    package: ClassVar[str]
    """The Debian package that has it."""
    programs: ClassVar[tuple[str, ...]]
    """What it needs, by name or path."""
    installs_routes: ClassVar[bool]
    """Whether it puts what it learns into the kernel, so that packets flow."""

    def __init__(self, config: RouterConfig, namespace: Namespace) -> None:
        abilities.check(self.name, config)
        self.config = config
        self.namespace = namespace
        self._folder: FilePath | None = None
        self.children: list[Child] = []

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._clean()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clean()

    def __repr__(self) -> str:
        return f"<{self.name} in {self.namespace.name}>"

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be started here, as a sentence, or None when it can."""
        absent = [program for program in cls.programs if shutil.which(program) is None]
        if absent:
            return f"{cls.name} needs {', '.join(absent)} (apt-get install {cls.package})"
        return None

    @property
    def folder(self) -> FilePath:
        """Where its files are. The path is short: socket paths end at 107 bytes."""
        if self._folder is None:
            self._folder = FilePath(tempfile.mkdtemp(prefix="lab-"))
        return self._folder

    @abstractmethod
    async def start(self, *, recovering: bool = False) -> None:
        """Start the daemon with its configuration and wait until it answers.

        If `recovering`, it tells its peers that it restarted gracefully (RFC 4724), where it can.
        """

    @abstractmethod
    async def routes(self, family: Family | None = None) -> dict[Prefix, tuple[Path, ...]]:
        """All paths it knows, of one family or both, not only the best ones."""

    @abstractmethod
    async def sessions(self) -> dict[Address, SessionInfo]:
        """Its sessions by peer address, those of ranges included while the peer is there."""

    async def bfd_sessions(self) -> dict[Address, BfdInfo]:
        """Its BFD sessions by peer address.

        Raises:
            NotImplementedError: the daemon has no BFD.
        """
        raise NotImplementedError(f"{self.name} has no BFD")

    async def ask_again(self, peer: Address, family: Family | None = None) -> None:
        """Have it ask a peer for all its routes (RFC 2918), of one family or all; only FRR knows of one.

        Raises:
            NotImplementedError: the daemon keeps what it once heard, and never asks.
        """
        raise NotImplementedError(f"{self.name} never asks {peer} again for {family or 'anything'}")

    async def send_again(self, peer: Address) -> None:
        """Have it send a peer all its routes again.

        Raises:
            NotImplementedError: the daemon sends again only what it is asked for.
        """
        raise NotImplementedError(f"{self.name} sends {peer} nothing again")

    @abstractmethod
    async def disable(self, peer: Address, reason: str) -> None:
        """Shut the session with a configured peer down, and tell it why (RFC 9003)."""

    @abstractmethod
    async def enable(self, peer: Address) -> None:
        """Undo `disable`."""

    @abstractmethod
    async def reset(self, peer: Address) -> None:
        """End the session with a peer (Cease, Administrative Reset) and let it come back."""

    async def reconfigure(self, config: RouterConfig) -> None:
        """Give the running daemon another configuration.

        What comes of it is the daemon's affair. A password: BIRD, FRR and GoBGP reset the session (Cease,
        Other Configuration Change), OpenBGPD uses it from the next session on. A hold time: BIRD resets the
        session, the others use it from the next one on.
        """
        abilities.check(self.name, config)
        before, self.config = self.config, config
        await self._apply(before)

    async def change(self, peer: Address, **options: Any) -> None:
        """Give a configured neighbor other options at run time, as `reconfigure` does."""
        neighbors = tuple(
            replace(each, **options) if each.where == peer else each for each in self.config.neighbors
        )
        if neighbors == self.config.neighbors:
            raise LookupError(f"{self}: nothing to change about {peer}")
        await self.reconfigure(replace(self.config, neighbors=neighbors))

    async def set_password(self, peer: Address, password: str | None) -> None:
        """Change the password of a configured neighbor at run time."""
        await self.change(peer, password=password)

    @abstractmethod
    async def _apply(self, before: RouterConfig) -> None:
        """Have the daemon go from one configuration to `self.config`."""

    async def crash(self) -> None:
        """End what speaks BGP at once (SIGKILL), and leave what forwards packets as it is."""
        await self.kill()

    async def recover(self) -> None:
        """Start again after `crash`, and tell the peers that it restarted gracefully (RFC 4724)."""
        await self.start(recovering=True)

    async def stop(self) -> None:
        """End the daemon in its own way (SIGTERM), so that its peers are told."""
        for child in reversed(self.children):
            await child.stop()
        self.children.clear()

    async def kill(self) -> None:
        """End the daemon at once (SIGKILL): its peers see the connection close and no NOTIFICATION."""
        for child in reversed(self.children):
            await child.kill()
        self.children.clear()

    async def next_hops(self, family: Family | None = None) -> NextHops:
        """What it learned from its peers: prefix to all next hops, as strings."""
        return next_hops(await self.routes(family))

    def fib(self, family: Family | None = None) -> Fib:
        """What the kernel of its namespace forwards by: prefix to legs that are alive."""
        return kernel_fib(self.namespace, family)

    def fib_hosts(self, family: Family | None = None) -> dict[str, set[str]]:
        """The same with the names of the hosts behind the legs: FRR's IPv6 gateways are link-local."""
        return {prefix: {leg.device for leg in legs} for prefix, legs in self.fib(family).items()}

    async def wait_routes(
        self,
        expected: Mapping[str, set[str]] | Callable[[Table], bool],
        *,
        family: Family | None = None,
        within: float = WAIT_SECONDS,
    ) -> Table:
        """The table, once it has exactly these prefixes and next hops, or satisfies the predicate.

        What the router itself originates does not count in the comparison.
        """
        if callable(expected):
            holds, what = expected, "the wanted table"
        else:
            wanted = {prefix: set(hops) for prefix, hops in expected.items()}
            holds, what = (lambda table: next_hops(table) == wanted), f"{wanted}"

        async def table() -> Table:
            return await self.routes(family)

        return await eventually(table, holds, within=within, what=f"{self}: {what}", show=show_table)

    async def wait_established(self, *peers: str, within: float = WAIT_SECONDS) -> None:
        """Return once there are sessions with at least these peers, all established."""

        def holds(sessions: Mapping[Address, SessionInfo]) -> bool:
            up = {str(peer) for peer, info in sessions.items() if info.established}
            return up >= set(peers)

        await self.wait_sessions(holds, what=f"sessions with {', '.join(peers)}", within=within)

    async def wait_sessions(
        self,
        holds: Callable[[Mapping[Address, SessionInfo]], bool],
        *,
        what: str = "the wanted sessions",
        within: float = WAIT_SECONDS,
    ) -> Mapping[Address, SessionInfo]:
        """The sessions, once they satisfy the predicate."""
        return await eventually(
            self.sessions, holds, within=within, what=f"{self}: {what}", show=show_sessions
        )

    async def wait_fib(self, expected: Mapping[str, set[str]], *, within: float = WAIT_SECONDS) -> None:
        """Return once the kernel forwards each prefix to exactly these hosts (an empty set: not at all)."""

        def present() -> dict[str, set[str]]:
            fib = self.fib_hosts()
            return {prefix: fib.get(prefix, set()) for prefix in expected}

        wanted = {prefix: set(hosts) for prefix, hosts in expected.items()}
        await eventually(present, lambda fib: fib == wanted, within=within, what=f"{self}: FIB {wanted}")

    def log(self) -> str:
        """All its processes wrote."""
        return "".join(child.output() for child in self.children)

    async def _spawn(self, name: str, *argv: str, env: Mapping[str, str] | None = None) -> Child:
        child = await Child.start(
            name,
            argv,
            namespace=self.namespace,
            log=self.folder / f"{name}.out",
            env={**os.environ, **env} if env else None,
        )
        self.children.append(child)
        return child

    async def _wait_ready(self, answers: Callable[[], Awaitable[bool]], within: float = WAIT_SECONDS) -> None:
        """Wait until `answers` is true; the failure shows what the daemon said, also if it ended."""

        async def state() -> tuple[bool, bool]:
            return await answers(), all(child.running for child in self.children)

        answered, _ = await eventually(
            state,
            lambda seen: seen[0] or not seen[1],
            within=within,
            what=f"{self}: an answer",
            show=lambda _: self.log(),
        )
        if not answered:
            raise RuntimeError(f"{self} did not start:\n{self.log()}")

    async def _wait_socket(self, name: str, within: float = WAIT_SECONDS) -> None:
        """Wait until a unix socket in the folder takes connections: it exists a moment before that."""

        async def accepts() -> bool:
            try:
                _, writer = await asyncio.open_unix_connection(str(self.folder / name))
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await self._wait_ready(accepts, within)

    async def _wait_listening(self) -> None:
        """Wait until it takes connections of peers, which may be after it answers commands."""

        async def listens() -> bool:
            return self.config.port in listening_ports(self.children[-1].pid)

        await self._wait_ready(listens)

    async def _clean(self) -> None:
        await self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that are listened on in the network namespace of a process; none if it has ended."""
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in FilePath(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == _LISTEN:
                    found.add(int(local.rpartition(":")[2], 16))
    return found
