"""A speaker and a router made by hand that have met: what most tests of a running session begin with.

Works on any event loop, so also on the one whose clock a test moves.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from speaker.bgp import PeerSet, SessionEvent, SessionEventKind
from speaker.bgp.codec_update import AttributeContext
from speaker.bgp.messages import MAX_MESSAGE, UpdateMessage
from speaker.bgp.packing import PackingContext, Withdrawal, pack_end_of_rib, pack_routes, pack_withdrawals
from speaker.model.peer import Peer, SessionFacts, SessionState
from speaker.model.prefix import Family, Prefix
from speaker.model.route import Paths, PrefixPath, Route
from tests.bgp.builders import Speaker, as_sent, loopback, prefix, until
from tests.bgp.builders import peer as configured_peer
from tests.bgp.raw_peer import Closed, RawPeer

NAME = "tor"


@dataclass
class Meeting:
    """Both ends of a session; `peer` is how the speaker has the router configured."""

    speaker: Speaker
    router: RawPeer
    peer: Peer

    @property
    def peers(self) -> PeerSet:
        return self.speaker.peers

    @property
    def facts(self) -> SessionFacts:
        """What was negotiated; the session must be established."""
        facts = self.peers.sessions()[NAME].facts
        assert facts is not None
        return facts

    @property
    def flaps(self) -> int:
        return self.peers.sessions()[NAME].flaps

    @property
    def received(self) -> Mapping[PrefixPath, Route]:
        """What is kept of the router's routes, as it was told to advertise them."""
        return {path: as_sent(each) for path, each in self.peers.received(NAME).items()}

    @property
    def withdrawn(self) -> list[PrefixPath]:
        """All that the speaker has reported as gone, in order."""
        updates = self.speaker.kinds(SessionEventKind.UPDATE_RECEIVED)
        return [path for event in updates for path in event.withdrawn]

    async def establish(self, packed: bytes | None = None, **overrides: object) -> None:
        """Accepts the speaker's next connection and brings the session up; `packed` is the router's OPEN."""
        before = len(self.speaker.kinds(SessionEventKind.ESTABLISHED))
        while True:
            await self.router.accept()
            # An attempt that began before the clock moved on is over: the next one counts. Where none comes
            # any more, `accept` says so.
            with suppress(Closed, AssertionError, ConnectionError):
                await self.router.establish(packed, **overrides)
                break
        await until(lambda: len(self.speaker.kinds(SessionEventKind.ESTABLISHED)) > before, "established")

    async def until_closed(self, times: int = 1) -> SessionEvent:
        """How the session ended for the last of so many times."""
        await until(lambda: len(self.speaker.kinds(SessionEventKind.CLOSED)) >= times, "closed")
        return self.speaker.kinds(SessionEventKind.CLOSED)[times - 1]

    def change(self, **settings: object) -> None:
        """Gives the speaker another configuration of the router."""
        self.peer = replace(self.peer, **settings)  # type: ignore[arg-type]
        self.peers.set_peers([self.peer])

    def advertise(self, changes: Mapping[Prefix, Paths | None]) -> None:
        """Changes what the router should hear."""
        self.peers.update(NAME, changes)

    async def first_advertisement(self) -> list[UpdateMessage]:
        """The UPDATEs before End-of-RIB, which must come for each family."""
        missing = set(self.facts.families)
        updates = []
        while missing:
            update = await self.router.update()
            if update.end_of_rib is None:
                updates.append(update)
            else:
                missing.remove(update.end_of_rib)
        return updates

    # -- what the router says --------------------------------------------------------------------------

    def context(self) -> PackingContext:
        """How the router packs its UPDATEs."""
        mirror = self.router.mirror
        return PackingContext(
            attributes=AttributeContext(
                local_asn=mirror.local_asn, ibgp=mirror.is_ibgp, four_octet_as=True, only_to_customer=False
            ),
            max_message=MAX_MESSAGE,
            add_path=self.facts.add_path_receive,
        )

    async def say(self, *routes: Route) -> None:
        """The router advertises, whatever the speaker makes of it."""
        await self.router.send(*pack_routes(self.context(), routes))

    async def tell(self, *routes: Route) -> None:
        """The router advertises; returns once the speaker has heard it, and kept it."""
        before = len(self.speaker.events)
        await self.say(*routes)
        wanted = {PrefixPath(each.prefix, each.path_id) for each in routes}
        await until(lambda: wanted <= self._advertised_since(before), "the routes of the router")

    def _advertised_since(self, number: int) -> set[PrefixPath]:
        new = self.speaker.events[number:]
        return {PrefixPath(each.prefix, each.path_id) for event in new for each in event.advertised}

    async def take_back(self, *withdrawals: Withdrawal) -> None:
        """The router withdraws; returns once the speaker has heard it."""
        await self.router.send(*pack_withdrawals(self.context(), withdrawals))
        paths = [PrefixPath(each.prefix, each.path_id) for each in withdrawals]
        await until(lambda: not any(path in self.received for path in paths), "the withdrawals")

    async def end_of_rib(self, *families: Family) -> None:
        """The router has said all; both families unless named."""
        await self.router.send(*(pack_end_of_rib(family) for family in families or Family))

    async def until_received(self, *prefixes: str) -> None:
        """Waits until exactly these prefixes of the router's are kept."""
        wanted = {prefix(each) for each in prefixes}
        await until(lambda: {path.prefix for path in self.received} == wanted, f"received {prefixes}")


@asynccontextmanager
async def meeting(
    ours: Mapping[str, Any] | None = None,
    theirs: Mapping[str, Any] | None = None,
    *,
    established: bool = True,
    released: bool = True,
    advertised: Mapping[Prefix, Paths] | None = None,
    **arguments: Any,
) -> AsyncIterator[Meeting]:
    """A speaker that has dialled a router.

    Args:
        ours: settings of the speaker's peer.
        theirs: what the router has otherwise than its mirror image.
        established: False leaves it at the speaker's first attempt to connect.
        released: whether the speaker may send UPDATEs.
        advertised: what the router should hear from the start.
        arguments: of the `PeerSet`.
    """
    events: list[SessionEvent] = []
    configured = configured_peer(**({"name": NAME, "address": loopback()} | dict(ours or {})))
    router = RawPeer(configured, **dict(theirs or {})).listen()
    speaker = Speaker(PeerSet(on_event=events.append, **arguments), events)
    met = Meeting(speaker, router, configured)
    try:
        speaker.peers.set_peers([configured])
        if advertised is not None:
            met.advertise(advertised)
        if released:
            speaker.peers.release()
        speaker.peers.start()
        speaker.run()
        if established:
            await met.establish()
            assert speaker.state() is SessionState.ESTABLISHED
        yield met
    finally:
        await speaker.end()
        router.close()
