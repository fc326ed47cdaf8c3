"""Fuzz target: BFD control packets to a session, in any order, with silences between.

The property: a packet is received or discarded for a reason, what we send back is always a legal packet, and
no peer makes us send faster than configured.
"""

from speaker.bfd.fsm import Fsm
from speaker.bfd.packet import ControlPacket, Discard, unpack
from speaker.model.peer import BfdTimers
from tests.fuzz.verdict import Finding

_DISCRIMINATOR = 7
_TIMERS = BfdTimers(transmit_milliseconds=100, receive_milliseconds=100, multiplier=3)
_FASTEST_MICROSECONDS = 100_000
_LONGEST_DETECTION_MICROSECONDS = 255 * (2**32 - 1)


def bfd_target(data: bytes) -> None:
    """Records of a length and as many octets of a packet; the length 255 is a silence.

    Raises:
        Finding: the session did what none may do.
    """
    session = Fsm(_DISCRIMINATOR, _TIMERS)
    while data:
        length, data = data[0], data[1:]
        if length == 255:
            session.expire()
            _check(session)
            continue
        packet = unpack(data[:length])
        data = data[length:]
        if isinstance(packet, Discard):
            continue
        if unpack(packet.pack()) != packet:
            raise Finding(f"{packet} does not survive the wire")
        reaction = session.receive(packet)
        if reaction.answer is not packet.poll:
            raise Finding(f"{packet} was answered with {reaction}")
        _check(session)


def _check(session: Fsm) -> None:
    for final in (False, True):
        ours = unpack(session.octets(final=final))
        if not isinstance(ours, ControlPacket) or (ours.poll and ours.final):
            raise Finding(f"we would send {ours}")
    interval = session.transmit_interval
    if interval is not None and interval < _FASTEST_MICROSECONDS:
        raise Finding(f"we would send every {interval} µs")
    if not 0 <= session.detection_time <= _LONGEST_DETECTION_MICROSECONDS:
        raise Finding(f"the peer may be silent for {session.detection_time} µs")
