"""A test prefix, advertised and withdrawn, and what can be seen of that from this side.

The route asks everyone not to use it: NO_EXPORT (RFC 1997) keeps it inside the neighbouring AS, and
GRACEFUL_SHUTDOWN (RFC 8326) makes it the last choice there. BGP has no answer to an UPDATE: that the
peer's TCP has acknowledged it and that the session goes on is all there is.
"""

import asyncio
from dataclasses import dataclass

from speaker.bgp.codec_update import UpdateDecoder
from speaker.bgp.messages import KEEPALIVE, MessageType, ProtocolError
from speaker.bgp.negotiation import Negotiated, negotiate
from speaker.bgp.packing import Withdrawal, is_multiprotocol, pack_end_of_rib, pack_routes, pack_withdrawals
from speaker.bgp.reasons import notification_received
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Prefix
from speaker.model.route import PathAttributes, Route
from speaker.preflight.exchange import Conversation, Ended, NotificationEnded, Opening, Trouble
from speaker.preflight.findings import Check, Findings

NO_EXPORT = 0xFFFFFF01
GRACEFUL_SHUTDOWN = 0xFFFF0000
_STEP_SECONDS = 0.05


@dataclass(slots=True)
class _Echo:
    """What the peer tells us of the prefix."""

    advertised: bool = False
    came_back: bool = False


class TrialRoute:
    """One test of one prefix over one accepted session.

    Args:
        peer: whom it is advertised to.
        prefix: a host route.
        local: our end of the connection, the next hop.
        settle_seconds: how long to watch after each of the two UPDATEs.
    """

    def __init__(self, peer: Peer, prefix: Prefix, local: Address, settle_seconds: float) -> None:
        self._peer = peer
        self._prefix = prefix
        self._local = local
        self._settle = settle_seconds
        self._echo = _Echo()

    async def run(self, conversation: Conversation, opening: Opening, findings: Findings) -> None:
        """Establish the session, advertise and withdraw; the caller ends the conversation."""
        if opening.message is None or not opening.accepted:
            findings.skipped(Check.TEST_PREFIX, "no session to advertise it on")
            return
        negotiated = negotiate(self._peer, opening.message, self._local)
        attributes = PathAttributes(communities=(GRACEFUL_SHUTDOWN, NO_EXPORT))
        route = Route(self._prefix, self._local, attributes)
        if not negotiated.can_carry(route):
            findings.failed(
                Check.TEST_PREFIX,
                f"this session does not carry {self._prefix} with the next hop {self._local}",
                "choose a prefix of a family that both sides offer",
            )
            return
        decoder = UpdateDecoder(self._peer, opening.body)
        try:
            # The peer has sent its KEEPALIVE: with ours the session is established.
            await conversation.send(KEEPALIVE)
            await self._advertise(conversation, negotiated, route, decoder)
        except NotificationEnded as end:
            findings.failed(
                Check.TEST_PREFIX, notification_received(end.notification), "the router's log says more"
            )
        except (Ended, ProtocolError) as end:
            findings.failed(Check.TEST_PREFIX, str(end), "the router's log says more")
        else:
            self._tell(findings)

    async def _advertise(
        self, conversation: Conversation, negotiated: Negotiated, route: Route, decoder: UpdateDecoder
    ) -> None:
        ends = [pack_end_of_rib(family) for family in sorted(negotiated.facts.families)]
        await conversation.send(*pack_routes(negotiated.packing, [route]), *ends)
        await self._watch(conversation, decoder)
        gone = Withdrawal(route.prefix, is_multiprotocol(route))
        await conversation.send(*pack_withdrawals(negotiated.packing, [gone]))
        await self._watch(conversation, decoder)

    async def _watch(self, conversation: Conversation, decoder: UpdateDecoder) -> None:
        """Hear the peer for a while; raises `Ended` when the session ends, or nothing is acknowledged."""
        try:
            async with asyncio.timeout(self._settle):
                while True:
                    kind, body = await conversation.receive()
                    if kind is MessageType.KEEPALIVE:
                        await conversation.send(KEEPALIVE)
                    elif kind is MessageType.UPDATE:
                        self._hear(decoder, body)
                    # So that a flood of UPDATEs leaves room for the end of the time.
                    await asyncio.sleep(0)
        except TimeoutError:
            if not conversation.is_acknowledged:
                raise Ended(
                    Trouble.SILENT,
                    f"the peer's TCP has not acknowledged the UPDATE within {self._settle:g} s",
                ) from None

    def _hear(self, decoder: UpdateDecoder, body: bytes) -> None:
        update = decoder.unpack_update(body)
        if any(route.prefix == self._prefix for route in update.advertised):
            self._echo.advertised = True
        elif any(gone.prefix == self._prefix for gone in update.withdrawn) and not self._echo.advertised:
            # A route with our own AS in its path counts as withdrawn (RFC 4271 §9.1.2); nobody withdraws
            # what was never there.
            self._echo.came_back = True

    def _tell(self, findings: Findings) -> None:
        seen = (
            f"{self._prefix} advertised and withdrawn: the peer's TCP took both, and the session went on;"
            " whether the router's filters accepted it, only the router knows"
        )
        if self._echo.advertised:
            findings.warned(
                Check.TEST_PREFIX,
                f"{seen}; the peer advertises this prefix to us, from another source",
                "choose a prefix that nobody uses, or see who else originates it",
            )
        elif self._echo.came_back:
            findings.warned(
                Check.TEST_PREFIX,
                f"{seen}; the peer sends it back to us",
                "harmless, since our own AS is in its path; the router may send less",
            )
        else:
            findings.passed(Check.TEST_PREFIX, seen)
