"""The control packet against RFC 5880 §4.1, and each rule of §6.8.6 by which it is discarded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bfd.packet import ControlPacket, Diagnostic, Discard, State, diagnostic_name, unpack
from tests.bfd.builders import packet

# What BIRD 2.0.12 sends when a session has just come up: 100 ms both ways, with Poll.
POLL_OF_BIRD = bytes.fromhex("20e003188a51c9f901020304000186a0000186a000000000")

words = st.integers(0, 0xFFFFFFFF)
packets = st.builds(
    ControlPacket,
    state=st.sampled_from(State),
    my_discriminator=st.integers(1, 0xFFFFFFFF),
    your_discriminator=st.integers(1, 0xFFFFFFFF),
    multiplier=st.integers(1, 255),
    desired_min_tx=words,
    required_min_rx=words,
    required_min_echo_rx=words,
    diagnostic=st.integers(0, 31),
    poll=st.booleans(),
    final=st.booleans(),
    control_plane_independent=st.booleans(),
    demand=st.booleans(),
)


def changed(**octets: int) -> bytes:
    """A good packet with some octets changed: `at3=200` sets the fourth."""
    data = bytearray(packet().pack())
    for name, value in octets.items():
        data[int(name.removeprefix("at"))] = value
    return bytes(data)


@given(packets)
def test_what_is_packed_is_read_again(sent: ControlPacket) -> None:
    assert unpack(sent.pack()) == sent


@given(st.binary(max_size=64))
def test_any_octets_are_a_packet_or_break_a_rule(data: bytes) -> None:
    assert isinstance(unpack(data), ControlPacket | Discard)


@given(packets, st.integers(0, 23), st.integers(0, 255))
def test_a_changed_octet_is_a_packet_or_breaks_a_rule(sent: ControlPacket, place: int, octet: int) -> None:
    data = bytearray(sent.pack())
    data[place] = octet
    assert isinstance(unpack(bytes(data)), ControlPacket | Discard)


def test_a_packet_of_a_router_is_understood() -> None:
    read = unpack(POLL_OF_BIRD)

    assert read == packet(
        state=State.UP,
        my_discriminator=0x8A51C9F9,
        your_discriminator=0x01020304,
        desired_min_tx=100_000,
        required_min_rx=100_000,
        poll=True,
    )
    assert isinstance(read, ControlPacket)
    assert read.pack() == POLL_OF_BIRD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", Discard.TOO_SHORT, id="empty"),
        pytest.param(changed()[:23], Discard.TOO_SHORT, id="truncated"),
        pytest.param(changed(at0=0x00), Discard.VERSION, id="version 0"),
        pytest.param(changed(at0=0x40), Discard.VERSION, id="version 2"),
        pytest.param(changed(at3=23), Discard.LENGTH, id="length below the mandatory section"),
        pytest.param(changed(at3=25), Discard.LENGTH, id="length beyond the payload"),
        pytest.param(changed(at1=0x44), Discard.LENGTH, id="no room for the authentication"),
        pytest.param(changed(at2=0), Discard.DETECT_MULTIPLIER, id="detect mult zero"),
        pytest.param(changed(at1=0x41), Discard.MULTIPOINT, id="multipoint"),
        pytest.param(packet(my_discriminator=0).pack(), Discard.MY_DISCRIMINATOR, id="my discriminator"),
        pytest.param(
            packet(state=State.INIT, your_discriminator=0).pack(),
            Discard.NO_DISCRIMINATOR,
            id="init to nobody",
        ),
        pytest.param(
            packet(state=State.UP, your_discriminator=0).pack(), Discard.NO_DISCRIMINATOR, id="up to nobody"
        ),
        pytest.param(changed(at1=0x44, at3=28) + b"\1\4\1x", Discard.AUTHENTICATION, id="authenticated"),
    ],
)
def test_a_packet_that_breaks_a_rule_is_discarded_for_it(data: bytes, reason: Discard) -> None:
    assert unpack(data) is reason


@pytest.mark.parametrize("state", [State.DOWN, State.ADMIN_DOWN])
def test_a_peer_that_does_not_know_us_yet_is_heard(state: State) -> None:
    sent = packet(state=state, your_discriminator=0)
    assert unpack(sent.pack()) == sent


def test_what_follows_the_length_is_passed_over() -> None:
    sent = packet()
    assert unpack(sent.pack() + b"padding") == sent


def test_diagnostics_have_names_also_the_reserved_ones() -> None:
    assert diagnostic_name(Diagnostic.PATH_DOWN) == "Path Down"
    assert diagnostic_name(31) == "diagnostic 31"
