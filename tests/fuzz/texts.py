"""Fuzz targets: what tenants write in annotations, and what is asked over the control socket.

The property: a value or a sentence that is bounded and safe to show, never an exception.
"""

import asyncio
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import astuple

from annotations.keys import IP_ADDRESS_SUFFIX, LOGICAL_SWITCH_SUFFIX, keys_under
from annotations.parse import PublishRequest, parse, pod_networks
from annotations.problems import KEY_LIMIT, VALUE_LIMIT, Problem
from annotations.values import LIST_LIMIT, PREPEND_LIMIT, UINT32_MAX
from speaker.control import MAX_REQUEST_BYTES, ControlServer
from speaker.errors import SpeakerError
from tests.fuzz.idle_loop import IdleLoop, close_loop
from tests.fuzz.verdict import Finding

PREFIX = "ovn.kubernetes.io"
KEYS = (
    *sorted(keys_under(PREFIX).known),
    f"{PREFIX}/bgp-unknown",
    f"ovn{IP_ADDRESS_SUFFIX}",
    f"net1.default.ovn{IP_ADDRESS_SUFFIX}",
    f"ovn{LOGICAL_SWITCH_SUFFIX}",
)
_SUBNET_NAME_LIMIT = 253
# Control, format, surrogate, private, unassigned; line and paragraph separators.
_BREAKING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# -- annotations -----------------------------------------------------------------------------------


def annotations_target(data: bytes) -> None:
    """Lines, each of which is an octet that names a key, and a value.

    Raises:
        Finding: what they are understood as is not bounded, or differs from one time to the next.
    """
    written = {
        KEYS[line[0] % len(KEYS)]: line[1:].decode(errors="surrogateescape")
        for line in data.split(b"\n")
        if line
    }
    request, problems = parse(written)
    if (request, problems) != parse(dict(reversed(written.items()))):
        raise Finding("the order of annotations matters")
    _check_request(request)
    networks, more = pod_networks(written)
    _check_problems((*problems, *more), written)
    for network in networks:
        if len(network.subnet) > _SUBNET_NAME_LIMIT or not network.subnet.isprintable():
            raise Finding(f"a Subnet is called {network.subnet!r}")


def _check_request(request: PublishRequest) -> None:
    for number in (request.med or 0, request.local_preference or 0):
        if not 0 <= number <= UINT32_MAX:
            raise Finding(f"numbers out of range: {request}")
    if not 0 <= (request.as_path_prepend or 0) <= PREPEND_LIMIT:
        raise Finding(f"prepends {request.as_path_prepend} times")
    kinds = () if request.communities is None else astuple(request.communities)
    for several in (*kinds, request.peers or ()):
        if len(several) > LIST_LIMIT:
            raise Finding(f"a list of {len(several)}")
    for ordered in kinds:
        if sorted(set(ordered)) != list(ordered):
            raise Finding(f"communities out of order: {ordered}")
    if not all(name.isprintable() for name in request.peers or ()):
        raise Finding(f"a peer's name cannot be shown: {request.peers}")


def _check_problems(problems: Iterable[Problem], written: Mapping[str, str]) -> None:
    found = list(problems)
    if len(found) > len(written):
        raise Finding(f"{len(found)} problems with {len(written)} annotations")
    for each in found:
        if len(each.value) > VALUE_LIMIT or len(each.key) > KEY_LIMIT:
            raise Finding(f"a problem of {len(each.sentence)} characters")
        if any(unicodedata.category(character) in _BREAKING for character in each.value):
            raise Finding(f"a problem that cannot be shown: {each.value!r}")


# -- control socket --------------------------------------------------------------------------------

_LONGEST_ANSWER = 4096


def _refuse(_request: Mapping[str, object]) -> object:
    raise SpeakerError("no")


class _Control:
    """A control server's reading half on a loop of its own."""

    def __init__(self) -> None:
        self.loop = IdleLoop()
        commands = {"status": lambda _request: {"peers": []}, "refuse": _refuse}
        self._server = ControlServer("/nowhere/control.sock", commands)

    def answer(self, data: bytes) -> bytes | None:
        """What a client gets that says this and then no more; None when it gets nothing."""
        reader = asyncio.StreamReader(limit=MAX_REQUEST_BYTES, loop=self.loop)
        reader.feed_data(data)
        reader.feed_eof()
        task = self.loop.create_task(self._server._exchange(reader))
        self.loop.settle()
        return task.result() if task.done() else None


_control: list[_Control] = []


def control_target(data: bytes) -> None:
    """The bytes of one request.

    Raises:
        Finding: the answer is missing, unbounded or no line of JSON.
    """
    if not _control:
        _control.append(_Control())
    answer = _control[0].answer(data)
    if answer is None:
        raise Finding("a request was not answered")
    if len(answer) > _LONGEST_ANSWER or answer.count(b"\n") != 1 or not answer.endswith(b"\n"):
        raise Finding(f"an answer that is no line: {answer[:200]!r}")
    read = json.loads(answer)
    if read.get("ok") not in (True, False) or ("result" if read["ok"] else "error") not in read:
        raise Finding(f"an answer of another form: {answer[:200]!r}")


def close_control() -> None:
    """Ends what the target has built."""
    while _control:
        close_loop(_control.pop().loop)
