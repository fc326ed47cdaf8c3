"""The frame around messages (RFC 4271 §4.1, §6.1)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.messages import (
    KEEPALIVE,
    MARKER,
    MAX_EXTENDED_MESSAGE,
    Framer,
    MessageType,
    Notification,
    ProtocolError,
    RefreshSubtype,
    RouteRefresh,
    pack_message,
    pack_notification,
    pack_route_refresh,
    shutdown_communication,
    unpack_notification,
    unpack_route_refresh,
)
from speaker.model.prefix import Family
from tests.bgp.builders import notification_for

NOTIFICATION = pack_notification(Notification(6, 2, b"\x02hi"))
REFRESH = pack_route_refresh(Family.IPV6)


def header(length: int, kind: int, marker: bytes = MARKER) -> bytes:
    return struct.pack("!16sHB", marker, length, kind)


@given(st.data())
def test_messages_survive_any_fragmentation(data: st.DataObject) -> None:
    stream = data.draw(st.lists(st.sampled_from([KEEPALIVE, NOTIFICATION, REFRESH]))) or [KEEPALIVE]
    whole = b"".join(stream)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    framer = Framer()

    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    messages = [message for piece in pieces for message in framer.feed(piece)]

    assert whole == b"".join(pack_message(kind, body) for kind, body in messages)


@pytest.mark.parametrize(
    ("wire", "subcode", "data"),
    [
        pytest.param(header(19, 4, b"\0" * 16), 1, b"", id="marker"),
        pytest.param(header(18, 4), 2, b"\x00\x12", id="shorter than a header"),
        pytest.param(header(4097, 2), 2, b"\x10\x01", id="longer than 4096"),
        pytest.param(header(20, 4), 2, b"\x00\x14", id="KEEPALIVE with a body"),
        pytest.param(header(28, 1), 2, b"\x00\x1c", id="OPEN too short"),
        pytest.param(header(22, 2), 2, b"\x00\x16", id="UPDATE too short"),
        pytest.param(header(20, 3), 2, b"\x00\x14", id="NOTIFICATION too short"),
        pytest.param(header(19, 0), 3, b"\x00", id="type 0"),
        pytest.param(header(19, 6), 3, b"\x06", id="type 6"),
    ],
)
def test_a_wrong_header_is_answered_as_the_rfc_says(wire: bytes, subcode: int, data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(Framer().feed(wire))

    assert Notification(1, subcode, data) == caught.value.notification


def test_what_stands_before_a_wrong_header_is_still_heard() -> None:
    frames = Framer().feed(KEEPALIVE + header(19, 9))

    assert next(frames)[0] is MessageType.KEEPALIVE
    with pytest.raises(ProtocolError):
        next(frames)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_messages_or_in_a_legal_notification(data: bytes) -> None:
    answer = notification_for(lambda: list(Framer().feed(data)))

    assert answer is None or str(answer) in ("1/1", "1/2", "1/3")


def test_a_notification_survives_the_wire() -> None:
    [(kind, body)] = Framer().feed(NOTIFICATION)

    assert kind is MessageType.NOTIFICATION
    assert Notification(6, 2, b"\x02hi") == unpack_notification(body)


def test_a_shutdown_communication_is_cut_at_255_octets_between_characters() -> None:
    data = shutdown_communication("é" * 200)

    assert data[0] == 254
    assert data[1:].decode() == "é" * 127
    assert shutdown_communication("") == b""


def test_a_route_refresh_of_a_family_that_is_not_ours_is_ignored() -> None:
    assert unpack_route_refresh(REFRESH[19:], enhanced=False) == RouteRefresh(Family.IPV6)
    assert unpack_route_refresh(struct.pack("!HBB", 25, 0, 70), enhanced=False) is None


def test_marks_of_a_refresh_count_only_where_they_were_negotiated() -> None:
    """RFC 7313 §3.2."""
    mark = pack_route_refresh(Family.IPV4, RefreshSubtype.END)[19:]

    assert unpack_route_refresh(mark, enhanced=False) is None
    assert unpack_route_refresh(mark, enhanced=True) == RouteRefresh(Family.IPV4, RefreshSubtype.END)
    assert unpack_route_refresh(b"\x00\x01\x03\x01", enhanced=True) is None, "an unknown subtype"


@pytest.mark.parametrize("subtype", list(RefreshSubtype))
@pytest.mark.parametrize("enhanced", [True, False])
def test_a_route_refresh_of_another_length_is_an_error_of_its_own_if_it_is_a_mark(
    subtype: RefreshSubtype, enhanced: bool
) -> None:
    """RFC 7313 §5; otherwise the length is what is wrong (RFC 4271 §6.1)."""
    body = pack_route_refresh(Family.IPV4, subtype)[19:] + b"\0"

    answer = notification_for(lambda: unpack_route_refresh(body, enhanced=enhanced))

    whole = pack_message(MessageType.ROUTE_REFRESH, body)
    is_mark = enhanced and subtype is not RefreshSubtype.REQUEST
    assert answer == (Notification(7, 1, whole) if is_mark else Notification(1, 2, b"\0\x18"))


def test_long_messages_are_for_who_has_said_so_but_never_open_and_keepalive() -> None:
    """RFC 8654 §3."""
    framer = Framer()
    framer.max_message = MAX_EXTENDED_MESSAGE
    whole = header(5000, 2) + bytes(4981)

    assert [(MessageType.UPDATE, bytes(4981))] == list(framer.feed(whole))
    assert str(notification_for(lambda: list(framer.feed(header(5000, 1))))) == "1/2"
    assert str(notification_for(lambda: list(Framer().feed(whole)))) == "1/2"


def test_a_hard_reset_carries_what_it_is_for() -> None:
    """RFC 8538 §3."""
    hard = Notification(6, 2, b"\x02hi").as_hard_reset()

    assert hard == Notification(6, 9, b"\x06\x02\x02hi")
    assert hard.is_hard_reset
    assert hard.inner == Notification(6, 2, b"\x02hi")
    assert Notification(6, 9).inner == Notification(6, 9)
