"""Peers that are not configured one by one: whoever connects from a prefix, up to a limit.

A peer of a range has a session from its connection until that ends and, if it may restart gracefully, for
its restart time after that; if it sent too many prefixes, for the pause that follows. Knows prefixes and
limits. Must not know sockets or messages.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from speaker.bgp.messages import Cease, ErrorCode, Notification
from speaker.bgp.session import Session
from speaker.bgp.surroundings import Surroundings
from speaker.model.peer import Peer, PeerRange
from speaker.model.prefix import Address
from speaker.sockets import same_host


class Ranges:
    """The ranges, and the sessions of the peers that came from them.

    Args:
        around: what all sessions share.
    """

    def __init__(self, around: Surroundings) -> None:
        self.configured: tuple[PeerRange, ...] = ()
        self._around = around
        self._sessions: dict[str, Session] = {}
        self._leaving: dict[str, asyncio.TimerHandle] = {}

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions there are now, by `Peer.name`."""
        return MappingProxyType(self._sessions)

    def configure(self, ranges: Sequence[PeerRange]) -> None:
        """Takes other ranges; a peer that is in none of them any more is removed, others are changed."""
        # Of several that hold an address the narrowest counts.
        self.configured = tuple(sorted(ranges, key=lambda each: -each.prefix.prefixlen))
        for session in list(self._sessions.values()):
            found = self._range(session.peer.address)
            if found is None:
                self._forget(session)
                cease = Notification(ErrorCode.CEASE, Cease.PEER_DECONFIGURED)
                session.stop(cease, "the range of the peer was removed from the configuration")
            elif session.peer != found.peer(session.peer.address):
                session.change(found.peer(session.peer.address))

    def session(self, address: Address, *, released: bool) -> Session | None:
        """The session for a connection from `address`; None when nobody is expected from there.

        Args:
            address: of the peer.
            released: whether UPDATEs and End-of-RIB may flow.
        """
        found = self._range(address)
        if found is None:
            return None
        peer = found.peer(address)
        known = self._sessions.get(peer.name)
        if known is not None:
            return known
        if sum(self._range(each.peer.address) is found for each in self._sessions.values()) >= found.limit:
            return None
        session = Session(peer, self._around, released=released, on_ended=self._ended)
        self._sessions[peer.name] = session
        session.start()
        # A connection that is not taken after all has no end that would be told.
        self._ended(session)
        return session

    def yield_to(self, peer: Peer) -> None:
        """The address of `peer` is configured by itself now: it counts for no range any more."""
        for session in list(self._sessions.values()):
            if same_host(session.peer.address, peer.address):
                self._forget(session)
                cease = Notification(ErrorCode.CEASE, Cease.CONFIGURATION_CHANGE)
                session.stop(cease, "the peer is configured by itself now")

    def _range(self, address: Address) -> PeerRange | None:
        return next((each for each in self.configured if address in each.prefix), None)

    def _ended(self, session: Session) -> None:
        """There is no connection: the peer may come back for as long as that means something to us.

        What else comes and goes meanwhile neither shortens nor prolongs that.
        """
        name = session.peer.name
        loop = asyncio.get_running_loop()
        when = loop.time() + session.absence_seconds
        leaving = self._leaving.get(name)
        if leaving is not None:
            if leaving.when() >= when:
                return
            leaving.cancel()
        # Not at once even without a restart: the session is in the midst of saying so.
        self._leaving[name] = loop.call_at(when, self._leave, session)

    def _leave(self, session: Session) -> None:
        if session.is_connected:
            # It has come back, and will end again.
            del self._leaving[session.peer.name]
            return
        self._forget(session)
        session.stop(None, "the peer has left")

    def _forget(self, session: Session) -> None:
        leaving = self._leaving.pop(session.peer.name, None)
        if leaving is not None:
            leaving.cancel()
        self._sessions.pop(session.peer.name, None)
