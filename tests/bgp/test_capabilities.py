"""Capabilities in words."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.capabilities import MOST, describe
from speaker.bgp.codec_open import pack_open
from speaker.bgp.messages import HEADER
from speaker.model.peer import GracefulRestart
from tests.bgp.builders import peer

FIXED = struct.pack("!BHH4s", 4, 65030, 90, b"\x0a\0\0\x01")


def capability(code: int, value: bytes = b"") -> bytes:
    return bytes([code, len(value)]) + value


def body(*capabilities: bytes) -> bytes:
    """An OPEN with each capability in an optional parameter of its own."""
    parameters = b"".join(bytes([2, len(each)]) + each for each in capabilities)
    return FIXED + bytes([len(parameters)]) + parameters


def long_body(*capabilities: bytes) -> bytes:
    """An OPEN of RFC 9072 with all of them in one optional parameter."""
    joined = b"".join(capabilities)
    return FIXED + struct.pack("!BBHBH", 255, 255, len(joined) + 3, 2, len(joined)) + joined


def gr(first: int, *families: tuple[int, int, int]) -> bytes:
    return capability(
        64, struct.pack("!H", first) + b"".join(struct.pack("!HBB", *family) for family in families)
    )


@pytest.mark.parametrize(
    ("sent", "texts"),
    [
        (capability(1, b"\0\x01\0\x01"), ("multiprotocol ipv4 unicast",)),
        (capability(1, b"\0\x19\0\x46"), ("multiprotocol l2vpn evpn",)),
        (capability(1, b"\x40\x04\0\x47"), ("multiprotocol AFI 16388 SAFI 71",)),
        (capability(1, b"\0\x01"), ("multiprotocol (malformed)",)),
        (capability(2), ("route refresh",)),
        (capability(5, b"\0\x01\0\x01\0\x02"), ("extended next hop ipv4 over ipv6",)),
        (capability(6), ("extended messages",)),
        (capability(9, b"\x03"), ("role customer",)),
        (capability(9, b"\x09"), ("role 9",)),
        (gr(120), ("graceful restart 120 s (helper only)",)),
        (gr(120, (1, 1, 0), (2, 1, 0)), ("graceful restart 120 s for ipv4, ipv6",)),
        (
            gr(0x4000 | 90, (1, 1, 0x80)),
            ("graceful restart 90 s for ipv4 (after notifications too; forwarding kept for ipv4)",),
        ),
        (capability(64, b"\0"), ("graceful restart (malformed)",)),
        (capability(65, struct.pack("!I", 4200000001)), ("4-octet AS 4200000001",)),
        (
            capability(69, b"\0\x01\x01\x03\0\x02\x01\x01"),
            ("add-path send and receive ipv4", "add-path receive ipv6"),
        ),
        (capability(70), ("enhanced route refresh",)),
        (capability(71, b"\0\x01\x01\x80\0\x0e\x10"), ("long-lived graceful restart 3600 s for ipv4",)),
        (capability(73, b"\x04tor1\x07example"), ("host name tor1.example",)),
        (capability(73, b"\x04tor1\0"), ("host name tor1",)),
        (capability(73, b"\x09tor1"), ("host name (malformed)",)),
        (capability(75, b"\x05bgpd1"), ("software version bgpd1",)),
        (capability(75, b"bgpd1"), ("software version bgpd1",)),
        (capability(128), ("route refresh (old)",)),
        (capability(131, b"\0"), ("capability 131",)),
    ],
)
def test_what_a_capability_says(sent: bytes, texts: tuple[str, ...]) -> None:
    assert texts == describe(body(sent))


def test_the_order_is_that_of_the_codes_and_each_text_stands_once() -> None:
    assert describe(body(capability(70), capability(2), capability(2) + capability(6))) == (
        "route refresh",
        "extended messages",
        "enhanced route refresh",
    )


def test_a_name_from_the_wire_cannot_write_to_the_terminal() -> None:
    (text,) = describe(body(capability(73, b"\x06a\x1b[2Jb\0")))
    assert text.isprintable()


def test_a_name_from_the_wire_is_bounded() -> None:
    (text,) = describe(body(capability(75, b"x" * 200)))
    assert len(text) <= 100


def test_a_long_open_is_read_as_rfc_9072_says() -> None:
    many = [capability(code) for code in range(129, 250)]
    texts = describe(long_body(capability(2), *many))
    assert texts[:2] == ("route refresh", "capability 129")
    assert len(texts) == MOST
    assert texts[-1] == f"and {1 + len(many) - MOST + 1} more"


def test_a_capability_that_is_cut_off() -> None:
    assert describe(body(gr(0, (1, 1, 0))[:-1])) == ("the rest cannot be read",)


def test_what_stands_before_a_broken_length_is_told() -> None:
    assert describe(body(capability(2), capability(6) + b"\x01\x09")) == (
        "route refresh",
        "extended messages",
        "the rest cannot be read",
    )


def test_an_open_without_optional_parameters_offers_nothing() -> None:
    assert describe(FIXED + b"\0") == ()


def test_our_own_open_is_described_as_configured() -> None:
    ours = replace(peer(), graceful_restart=GracefulRestart(restart_time_seconds=30))
    packed = pack_open(ours, restarting=True, forwarding_preserved=True)[HEADER.size :]
    texts = describe(packed)
    assert "multiprotocol ipv4 unicast" in texts
    assert "multiprotocol ipv6 unicast" in texts
    assert "4-octet AS 65000" in texts
    assert any(text.startswith("graceful restart 30 s for ipv4, ipv6 (restarting") for text in texts)


@given(st.binary(max_size=300))
def test_any_bytes_give_texts(data: bytes) -> None:
    for sent in (data, FIXED + data, body(data[:200]), long_body(data)):
        assert all(text.isprintable() and len(text) < 1000 for text in describe(sent))


@given(st.integers(0, 255), st.binary(max_size=100))
def test_any_value_of_any_capability_gives_texts(code: int, value: bytes) -> None:
    texts = describe(body(capability(code, value)))
    assert all(text.isprintable() for text in texts)
    assert len(texts) <= MOST
