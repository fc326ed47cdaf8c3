"""How the kernel's answers are read, from octets that a script gives."""

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from speaker.errors import HostError
from speaker.kernel.netlink import HEADER, messages
from speaker.kernel.tables import Conversation
from speaker.model.prefix import Address

NLMSG_ERROR, NLMSG_DONE, RTM_NEWADDR, RTM_NEWROUTE = 2, 3, 20, 24
NLM_F_DUMP_INTR = 0x10
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
TENTATIVE, OPTIMISTIC, DADFAILED, PERMANENT = 0x40, 0x04, 0x08, 0x80


class Scripted(socket.socket):
    """A netlink socket that answers from a script, and does not answer past its end."""

    script: Iterator[bytes]

    def sendto(self, *_: Any) -> int:
        return 0

    def recv(self, *_: Any) -> bytes:
        try:
            return next(self.script)
        except StopIteration:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable") from None


def conversation(*datagrams: bytes) -> Conversation:
    made = Scripted(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.script = iter(datagrams)
    return Conversation(lambda: made)


def message(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return HEADER.pack(HEADER.size + len(payload), kind, flags, 1, 0) + payload + bytes(-len(payload) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def address(flags: int = PERMANENT, family: int = socket.AF_INET6, **octets: str) -> bytes:
    kinds = {"address": IFA_ADDRESS, "local": IFA_LOCAL}
    body = b"".join(attribute(kinds[name], ip_address(text).packed) for name, text in octets.items())
    body += attribute(IFA_FLAGS, struct.pack("=I", flags))
    return message(RTM_NEWADDR, struct.pack("=BBBBi", family, 64, flags & 0xFF, 0, 1) + body)


def read(*datagrams: bytes) -> set[Address]:
    with conversation(*datagrams) as questions:
        return set().union(*questions.addresses())


def test_addresses_come_in_portions() -> None:
    first = address(address="fd00::1") + address(address="fd00::2")
    with conversation(first, address(address="fd00::3"), message(NLMSG_DONE)) as questions:
        assert [len(portion) for portion in questions.addresses()] == [2, 1, 0]


def test_on_a_point_to_point_link_our_end_counts() -> None:
    both = address(family=socket.AF_INET, address="10.0.0.2", local="10.0.0.1")
    assert read(both, message(NLMSG_DONE)) == {ip_address("10.0.0.1")}


@pytest.mark.parametrize(
    ("flags", "usable"),
    [
        pytest.param(PERMANENT, True, id="permanent"),
        pytest.param(TENTATIVE, False, id="tentative"),
        pytest.param(TENTATIVE | OPTIMISTIC, True, id="optimistic"),
        pytest.param(PERMANENT | DADFAILED, False, id="duplicate"),
    ],
)
def test_which_addresses_can_be_used(flags: int, usable: bool) -> None:
    assert bool(read(address(flags, address="fd00::1"), message(NLMSG_DONE))) is usable


def test_other_families_are_left_out() -> None:
    assert read(address(family=socket.AF_APPLETALK, address="10.0.0.1"), message(NLMSG_DONE)) == set()


def test_a_table_that_changed_under_the_reading_is_told() -> None:
    """Half of the old table and half of the new one is no table."""
    with pytest.raises(InterruptedError):
        read(message(NLMSG_DONE, flags=NLM_F_DUMP_INTR))


def test_a_refusal_is_one_sentence() -> None:
    refusal = message(NLMSG_ERROR, struct.pack("=i", -errno.EPERM))
    with pytest.raises(HostError, match=r"over netlink: Operation not permitted$"):
        read(refusal)


def test_a_kernel_that_does_not_answer_is_one_sentence() -> None:
    with pytest.raises(HostError, match=r"over netlink: Resource temporarily unavailable$"):
        read()


def test_an_error_in_answer_to_a_route_question_is_no_route() -> None:
    with conversation(message(NLMSG_ERROR, struct.pack("=i", -errno.ENETUNREACH))) as questions:
        assert questions.source_toward(ip_address("192.0.2.1")) is None


@pytest.mark.parametrize("length", [0, 8, 15, 4000])
def test_a_message_of_impossible_length_ends_its_datagram(length: int) -> None:
    whole = message(RTM_NEWROUTE, b"1234")
    damaged = HEADER.pack(length, RTM_NEWROUTE, 0, 1, 0)
    assert [kind for kind, _, _ in messages(memoryview(whole + damaged + whole))] == [RTM_NEWROUTE]


@pytest.mark.parametrize("cut", range(16))
def test_a_cut_off_header_is_no_message(cut: int) -> None:
    assert list(messages(memoryview(message(RTM_NEWROUTE)[:cut]))) == []
