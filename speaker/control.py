"""The unix socket over which `speaker status`, `routes` and `explain` ask the running speaker.

Knows how a question and its answer travel: one line of JSON each, one exchange a connection; mode
0600, so that only the speaker's own user can ask. Knows nothing of what the commands do.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from speaker.errors import HostError, SpeakerError

_LOG = logging.getLogger(__name__)

Command = Callable[[Mapping[str, object]], object]
"""Takes the request, gives what `json.dumps` can write; a SpeakerError becomes the answer."""

MAX_REQUEST_BYTES = 64 * 1024
REQUEST_SECONDS = 10.0
ANSWER_SECONDS = 30.0
MAX_CONNECTIONS = 16
_FAILED = b'{"ok": false, "error": "the answer could not be written as JSON"}\n'


class ControlServer:
    """Answers commands on a unix socket.

    Args:
        path: where the socket is made; its folder is made too, mode 0700, if absent.
        commands: the value of a request's `command` to what answers it.
    """

    def __init__(self, path: str | Path, commands: Mapping[str, Command]) -> None:
        self._path = Path(path)
        self._commands = commands
        self._writers: set[asyncio.StreamWriter] = set()
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled, then remove the socket.

        Raises:
            HostError: another process answers there, or the socket cannot be made.
        """
        listener = _listen(self._path)
        identity = _identity(self._path)
        try:
            server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_REQUEST_BYTES)
            self.started.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                # No waiting for the connections: a client that says nothing must not delay the end.
                server.close()
                for writer in self._writers:
                    writer.transport.abort()
        finally:
            self.started.clear()
            listener.close()
            # A successor may have made its own socket at the same place: that one is not ours.
            if identity == _identity(self._path):
                self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if len(self._writers) <= MAX_CONNECTIONS:
                async with asyncio.timeout(REQUEST_SECONDS):
                    answer = await self._exchange(reader)
            else:
                answer = _refusal("the speaker is answering too many others; ask again")
            async with asyncio.timeout(ANSWER_SECONDS):
                # Whole, and not all but the last 64 KiB: what is left over is thrown away below.
                writer.transport.set_write_buffer_limits(high=0)
                writer.write(answer)
                await writer.drain()
        except (OSError, TimeoutError):
            _LOG.debug("a control connection ended before its answer")
        finally:
            self._writers.discard(writer)
            # Not a plain close, which would wait for a client that no longer reads.
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            return _refusal(f"the request is longer than {MAX_REQUEST_BYTES} bytes")
        except asyncio.IncompleteReadError:
            return _refusal("the request does not end with a newline")
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal("the request is not JSON")
        if not isinstance(request, dict):
            return _refusal("the request is not a JSON object")
        return self._answer(request)

    def _answer(self, request: Mapping[str, object]) -> bytes:
        name = request.get("command")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            return _refusal(f"no such command; there are {', '.join(sorted(self._commands))}")
        try:
            result = command(request)
        except SpeakerError as error:
            return _refusal(str(error))
        try:
            return json.dumps({"ok": True, "result": result}).encode() + b"\n"
        except (TypeError, ValueError):
            _LOG.exception("an answer could not be written as JSON", extra={"command": name})
            return _FAILED


def _refusal(sentence: str) -> bytes:
    return json.dumps({"ok": False, "error": sentence}).encode() + b"\n"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, readable and writable by our own user alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise _cannot_listen(path, error) from error
    try:
        # The umask and not chmod: the socket must not be open to others for even a moment.
        with _umask(0o177):
            listener.bind(str(path))
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _cannot_listen(path, error) from error
    return listener


def _cannot_listen(path: Path, error: OSError) -> HostError:
    return HostError(f"cannot listen on the control socket {path}: {error.strerror or error}")


def _make_room(path: Path) -> None:
    """Remove a socket that a dead speaker left; refuse to take the place of anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path} exists and is no socket; name another place with --control-socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full, so it is alive
    raise HostError(f"another speaker answers on {path}; name another place with --control-socket")


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def ask(
    path: str | Path, request: Mapping[str, object], *, timeout_seconds: float = ANSWER_SECONDS
) -> object:
    """Put one request to the speaker that listens at `path`, and return its result.

    Args:
        path: the speaker's `--control-socket`.
        request: an object with a `command`; what else it takes is the command's matter.
        timeout_seconds: how long to wait for each part of the answer.

    Raises:
        SpeakerError: the speaker's own refusal, in its words.
        HostError: nobody answers there.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise HostError(
            f"no speaker listens on {path}; is it running, with this --control-socket?"
        ) from error
    except TimeoutError as error:
        raise HostError(f"the speaker on {path} did not answer within {timeout_seconds:g} s") from error
    except OSError as error:
        raise HostError(f"cannot ask the speaker on {path}: {error.strerror or error}") from error
    return _result(path, line)


def _result(path: str | Path, line: bytes) -> object:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise HostError(f"the speaker on {path} ended the connection without an answer") from error
    if not isinstance(answer, dict) or "ok" not in answer:
        raise HostError(f"what listens on {path} is not a speaker")
    if not answer["ok"]:
        raise SpeakerError(answer["error"])
    return answer["result"]
