"""OPEN messages (RFC 4271 §4.2) through the codec."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.codec_open import pack_open, unpack_open
from speaker.bgp.messages import Notification, ProtocolError
from speaker.model.peer import GracefulRestart, Peer
from speaker.model.prefix import Family
from tests.bgp.builders import notification_for, peer
from tests.bgp.strategies import peers


def body(configured: Peer, *, restarting: bool = False, forwarding_preserved: bool = True) -> bytes:
    return pack_open(configured, restarting=restarting, forwarding_preserved=forwarding_preserved)[19:]


@given(peers(), st.booleans())
def test_an_open_says_what_the_peer_is_configured_with(configured: Peer, restarting: bool) -> None:
    message = unpack_open(body(configured, restarting=restarting))

    assert configured.local_asn == message.asn
    assert configured.router_id == message.router_id
    assert configured.hold_time_seconds == message.hold_time_seconds
    assert configured.families == message.families
    assert configured.extended_next_hop == message.extended_next_hop
    assert message.route_refresh
    assert message.four_octet_as
    if configured.graceful_restart is None:
        assert message.graceful_restart is None
    else:
        assert message.graceful_restart is not None
        assert (
            configured.graceful_restart.restart_time_seconds == message.graceful_restart.restart_time_seconds
        )
        assert restarting == message.graceful_restart.restarting
        assert configured.families == message.graceful_restart.families


def test_an_as_number_of_four_octets_stands_in_the_capability_and_as_trans_in_the_field() -> None:
    packed = body(peer(local_asn=4200000001))

    assert packed[1:3] == (23456).to_bytes(2)
    assert unpack_open(packed).asn == 4200000001


@pytest.mark.parametrize(
    ("restarting", "preserved", "wire"),
    [
        pytest.param(False, True, "400a 005a 00010180 00020180", id="R clear, F set"),
        pytest.param(True, True, "400a 805a 00010180 00020180", id="R set, F set"),
        pytest.param(True, False, "400a 805a 00010100 00020100", id="R set, F clear"),
    ],
)
def test_graceful_restart_flags_on_the_wire(restarting: bool, preserved: bool, wire: str) -> None:
    """RFC 4724 §3: R is the highest bit of the restart flags, F of each family's."""
    configured = peer(graceful_restart=GracefulRestart(restart_time_seconds=90))

    packed = body(configured, restarting=restarting, forwarding_preserved=preserved)

    assert bytes.fromhex(wire) in packed


def test_without_the_multiprotocol_capability_no_families_are_claimed() -> None:
    message = unpack_open(bytes.fromhex("04fde8005a0a00000100"))

    assert message.families is None
    assert not message.four_octet_as
    assert message.asn == 65000


def test_another_version_is_answered_with_the_one_we_speak() -> None:
    with pytest.raises(ProtocolError) as caught:
        unpack_open(bytes.fromhex("03fde8005a0a00000100"))

    assert Notification(2, 1, b"\x00\x04") == caught.value.notification


def test_a_truncated_open_that_exabgp_stumbles_over_gets_a_notification() -> None:
    with pytest.raises(ProtocolError) as caught:
        unpack_open(bytes.fromhex("04fdea001a11667df1ff"))

    assert caught.value.notification.code == 2


@given(peers(), st.data())
def test_any_damage_ends_in_an_open_or_in_a_legal_notification(configured: Peer, data: st.DataObject) -> None:
    damaged = bytearray(body(configured))
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(10, len(damaged)))

    answer = notification_for(lambda: unpack_open(bytes(damaged[:cut])))

    assert answer is None or answer.code in (1, 2)


def test_importing_the_engine_is_quiet() -> None:
    """No output, no logging or signal set-up, no variable left for our children."""
    program = (
        "import logging, os, signal\n"
        "before = [signal.getsignal(n) for n in signal.valid_signals()]\n"
        "import speaker.bgp\n"
        "assert before == [signal.getsignal(n) for n in signal.valid_signals()]\n"
        "assert not logging.root.handlers and 'exabgp_log_enable' not in os.environ\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, check=False, env=dict(os.environ)
    )

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


def test_the_families_are_offered_in_a_stable_order() -> None:
    both = body(peer(families=frozenset((Family.IPV6, Family.IPV4))))

    assert both.index(bytes.fromhex("010400010001")) < both.index(bytes.fromhex("010400020001"))
