"""Local health checks: whether what an address stands for answers on this host.

Knows how a port or a URL is asked, and how many answers in a row count. Must not know what follows from
it: routes, sessions. A check costs at most its timeout and a few kilobytes, whatever the server does.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from annotations.problems import bounded
from speaker import __version__
from speaker.settings.advertise_settings import CheckSettings
from speaker.settings.check_target import CheckTarget
from speaker.sockets import describe

_LONGEST_ANSWER = 512
_LONGEST_LINE = 4096
"""How much of an answer is kept until its first line has ended."""


class CheckFailedError(Exception):
    """A check did not pass; its text says why, one clause."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """One target as it stands.

    Attributes:
        url: the target.
        passes: None until enough answers have come.
        problem: why the last check failed, or "".
    """

    url: str
    passes: bool | None
    problem: str


class Verdict:
    """Whether a target passes, by what came in a row.

    Args:
        rise: so many passes in a row make it pass.
        fall: so many failures in a row make it fail.
    """

    def __init__(self, rise: int, fall: int) -> None:
        self.passes: bool | None = None
        self.problem = ""
        self._needed = {True: rise, False: fall}
        self._row = 0
        self._last: bool | None = None

    def observe(self, problem: str) -> bool:
        """Take the result of one check ("" is a pass); returns whether the verdict changed."""
        passed = not problem
        self._row = self._row + 1 if passed is self._last else 1
        self._last, self.problem = passed, problem
        if passed is self.passes or self._row < self._needed[passed]:
            return False
        self.passes = passed
        return True


class Trust:
    """The TLS settings of the checks; certificates that are renewed on disk are read again.

    Args:
        settings: which certificates to trust.
    """

    def __init__(self, settings: CheckSettings) -> None:
        self._settings = settings
        self._known: tuple[object, ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext:
        """The context to connect with; raises CheckFailedError when the file cannot be read."""
        version = self._version()
        if self._known is None or self._known[0] != version:
            self._known = (version, self._made())
        return self._known[1]

    def _version(self) -> object:
        path = self._settings.ca_file
        if path is None:
            return None
        try:
            found = Path(path).stat()
        except OSError as error:
            raise CheckFailedError(f"--check-ca={path} cannot be read: {describe(error)}") from error
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def _made(self) -> ssl.SSLContext:
        path = self._settings.ca_file
        try:
            context = ssl.create_default_context(cafile=path)
        except ssl.SSLError as error:
            raise CheckFailedError(f"--check-ca={path} holds no certificates in PEM form") from error
        except OSError as error:
            raise CheckFailedError(f"--check-ca={path} cannot be read: {describe(error)}") from error
        if self._settings.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class LocalChecks:
    """All targets, checked beside each other.

    Args:
        settings: what to check, and how.
        on_change: called with a target's status when its `passes` has changed.
    """

    def __init__(self, settings: CheckSettings, on_change: Callable[[CheckStatus], None]) -> None:
        self._settings = settings
        self._on_change = on_change
        self._trust = Trust(settings)
        self._verdicts = {target: Verdict(settings.rise, settings.fall) for target in settings.targets}

    @property
    def passes(self) -> bool | None:
        """Whether every target passes: False when one fails, None while the rest is not known."""
        verdicts = [verdict.passes for verdict in self._verdicts.values()]
        if False in verdicts:
            return False
        return None if None in verdicts else True

    def status(self) -> tuple[CheckStatus, ...]:
        """Every target as it stands, in the order given."""
        return tuple(_status(target, verdict) for target, verdict in self._verdicts.items())

    async def run(self) -> None:
        """Check until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for target, verdict in self._verdicts.items():
                tasks.create_task(self._watch(target, verdict), name=target.url)

    async def _watch(self, target: CheckTarget, verdict: Verdict) -> None:
        while True:
            if verdict.observe(await self.problem_of(target)):
                self._on_change(_status(target, verdict))
            await asyncio.sleep(self._settings.interval_seconds)

    async def problem_of(self, target: CheckTarget) -> str:
        """Check once: why it does not pass, or ""."""
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await self._check(target)
        except TimeoutError:
            return f"no answer within {self._settings.timeout_seconds:g} s (--check-timeout)"
        except CheckFailedError as error:
            return str(error)
        return ""

    async def _check(self, target: CheckTarget) -> None:
        reader, writer = await self._connect(target)
        try:
            if target.path:
                writer.write(_request(target))
                _judge(await _first_line(reader))
        except OSError as error:
            raise CheckFailedError(describe(error)) from error
        finally:
            # Not a polite close, which would wait for a server that says nothing.
            writer.transport.abort()

    async def _connect(self, target: CheckTarget) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        is_tls = target.scheme == "https"
        try:
            return await asyncio.open_connection(
                target.host,
                target.port,
                limit=_LONGEST_LINE,
                ssl=self._trust.context() if is_tls else None,
                server_hostname=(self._settings.server_name or target.host) if is_tls else None,
            )
        except ssl.SSLCertVerificationError as error:
            raise CheckFailedError(self._certificate_sentence(error)) from error
        except ssl.SSLError as error:
            raise CheckFailedError(f"TLS failed: {bounded(error.reason or 'unknown')}") from error
        except socket.gaierror as error:
            raise CheckFailedError(f"the name {target.host} is not known") from error
        except OSError as error:
            raise CheckFailedError(describe(error)) from error

    def _certificate_sentence(self, error: ssl.SSLCertVerificationError) -> str:
        reason = bounded(error.verify_message.rstrip("."), 160)
        if "mismatch" in reason:
            return f"{reason}: give a name that the certificate has with --check-server-name"
        advice = (
            "is it of another authority?" if self._settings.ca_file else "give its authority with --check-ca"
        )
        return f"the certificate is not trusted ({reason}): {advice}"


def _status(target: CheckTarget, verdict: Verdict) -> CheckStatus:
    return CheckStatus(target.url, verdict.passes, verdict.problem)


def _request(target: CheckTarget) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {host}:{target.port}\r\n"
        f"User-Agent: kube-route-speaker/{__version__}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        return await reader.read(_LONGEST_ANSWER)


def _judge(line: bytes) -> None:
    """Raise CheckFailedError unless the status is one that the kubelet's probes take: 200 to 399."""
    version, _, rest = line.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not (len(status) == 3 and status.isdigit()):
        what = bounded(line[:_LONGEST_ANSWER].decode("ascii", "replace").strip())
        raise CheckFailedError(f"the answer is no HTTP: {what!r}" if line else "closed without an answer")
    if not 200 <= int(status) <= 399:
        raise CheckFailedError(f"the answer is HTTP status {status.decode()}")
