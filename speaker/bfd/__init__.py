"""BFD (RFC 5880, RFC 5881, RFC 5883): finds a dead peer in fractions of a second.

It runs in the event loop of the BGP sessions and shares their fate: a speaker that cannot send KEEPALIVEs
any more does not go on to say that it is well. From the inside out:

    packet, events     values
    fsm                pure state
    path, filter       sockets and what they let through
    receiver, sender   one socket that reads, one that writes
    reception          all that read
    session            one peer
    sessions           all peers
"""

from speaker.bfd.events import BfdEvent, BfdEventKind, BfdStatus
from speaker.bfd.packet import Discard, State
from speaker.bfd.path import OpenSocket, udp_socket
from speaker.bfd.sessions import BfdSessions

__all__ = [
    "BfdEvent",
    "BfdEventKind",
    "BfdSessions",
    "BfdStatus",
    "Discard",
    "OpenSocket",
    "State",
    "udp_socket",
]
