"""What the Fib does when netlink fails it, with a clock that travels, in a real kernel."""

import errno
import os
import socket
import struct
from typing import Any

import pytest

from speaker.kernel.fib import DENIED_SECONDS, REREAD_SECONDS, RETRY_SECONDS
from tests.bgp.travel import travel, with_travel
from tests.kernel.fibs import gateways, netlink_in, running
from tests.lab.net.namespace import Namespace

pytestmark = pytest.mark.netns

NLMSG_ERROR, RTM_NEWROUTE, DUMP_INTERRUPTED = 2, 24, 0x10


class Wrapped(socket.socket):
    """A routing socket of which `trouble` spoils something."""

    trouble: "Trouble"

    def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
        add_membership = 1
        if not (self.trouble.deaf and (level, option) == (270, add_membership)):
            super().setsockopt(level, option, value, *rest)

    def sendto(self, data: Any, *rest: Any) -> int:
        self.trouble.sent += 1
        if self.trouble.denied and struct.unpack_from("=IH", data)[1] == RTM_NEWROUTE:
            length, _, _, sequence, port = struct.unpack_from("=IHHII", data)
            number = struct.pack("=i", -errno.EPERM)
            self.trouble.answer = (
                struct.pack("=IHHII", 36, NLMSG_ERROR, 0, sequence, port) + number + bytes(16)
            )
            assert length == len(data), "one change at a time"
            return len(data)
        return super().sendto(data, *rest)

    def recv(self, *arguments: Any) -> bytes:
        if self.trouble.answer:
            answer, self.trouble.answer = self.trouble.answer, b""
            return answer
        octets = bytearray(super().recv(*arguments))
        if self.trouble.interrupted:
            self.trouble.interrupted -= 1
            struct.pack_into("=H", octets, 6, struct.unpack_from("=H", octets, 6)[0] | DUMP_INTERRUPTED)
        return bytes(octets)


class Trouble:
    """What goes wrong with the sockets of one namespace.

    Attributes:
        deaf: they hear no events.
        denied: they may not write routes.
        interrupted: how many more readings the kernel says it has interrupted.
        exhausted: there are no more sockets.
    """

    def __init__(self, namespace: Namespace, **options: Any) -> None:
        self._factory = netlink_in(namespace)
        self.deaf = bool(options.get("deaf"))
        self.denied = bool(options.get("denied"))
        self.interrupted = int(options.get("interrupted", 0))
        self.exhausted = False
        self.answer = b""
        self.sent = 0

    def __call__(self) -> socket.socket:
        if self.exhausted:
            raise OSError(errno.EMFILE, "Too many open files")
        with self._factory() as made:
            wrapped = Wrapped(fileno=os.dup(made.fileno()))
        wrapped.trouble = self
        return wrapped


def test_what_no_event_tells_is_found_before_long(namespace: Namespace) -> None:
    async def scenario() -> None:
        async with running(namespace, Trouble(namespace, deaf=True)) as run:
            run.route("10.244.1.0/24", "10.0.0.2")
            await run.until_installed(1)
            await run.ip("route replace 10.244.1.0/24 via 10.0.0.9 proto 203 metric 1024")
            travel(REREAD_SECONDS)
            await run.until_ours(lambda ours: gateways(ours["10.244.1.0/24"]) == {"10.0.0.2"})

    with_travel(scenario)


def test_a_table_that_changed_under_the_reading_is_read_again(namespace: Namespace) -> None:
    async def scenario() -> None:
        trouble = Trouble(namespace, interrupted=3)
        async with running(namespace, trouble) as run:
            run.route("10.244.1.0/24", "10.0.0.2")
            await run.until_installed(1)
            assert trouble.interrupted == 0
            assert run.problems == []

    with_travel(scenario)


def test_a_missing_permission_is_tried_again_slowly(namespace: Namespace) -> None:
    async def scenario() -> None:
        trouble = Trouble(namespace, denied=True)
        async with running(namespace, trouble) as run:
            run.route("10.244.1.0/24", "10.0.0.2")
            await run.until(lambda: len(run.problems) == 1)
            trouble.denied = False
            await run.ip("addr add 10.0.0.77/24 dev up0")
            sent = trouble.sent
            await run.until(lambda: trouble.sent > sent)
            assert run.status.installed == 0
            travel(DENIED_SECONDS)
            await run.until_installed(1)
            assert run.status.problems == ()

    with_travel(scenario)


def test_what_was_known_stands_when_a_reading_fails(namespace: Namespace) -> None:
    async def scenario() -> None:
        trouble = Trouble(namespace)
        async with running(namespace, trouble) as run:
            run.route("10.244.1.0/24", "10.0.0.2")
            await run.until_installed(1)
            trouble.exhausted = True
            await run.ip("addr add 10.0.0.77/24 dev up0")
            await run.until(lambda: bool(run.problems))
            assert run.problems[0].endswith("over netlink: Too many open files")
            assert run.status.installed == 1
            trouble.exhausted = False
            travel(RETRY_SECONDS)
            await run.until(lambda: run.status.problems == ())

    with_travel(scenario)


def test_a_replacement_waits_when_somebody_else_may_have_been_there(namespace: Namespace) -> None:
    """The event of another program's route is in the queue, unread: its route must not be hit."""

    async def scenario() -> None:
        async with running(namespace) as run:
            run.route("10.244.1.0/24", "10.0.0.2")
            await run.until_installed(1)
            # The event loop stands still meanwhile.
            namespace.ip("route replace 10.244.1.0/24 via 10.0.0.9 proto static metric 1024")
            run.route("10.244.1.0/24", "10.0.0.3")
            await run.until(lambda: bool(run.status.conflicts))
            assert [problem for problem in run.problems if "netlink" in problem] == []
        (row,) = namespace.ip_json("route", "show", "10.244.1.0/24")
        assert (row["gateway"], row["protocol"]) == ("10.0.0.9", "static")

    with_travel(scenario)
