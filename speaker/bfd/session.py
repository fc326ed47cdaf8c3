"""The BFD session with one peer: its state machine at work, and its timers on the event loop.

Knows when to send, and when silence has lasted too long. Must not know other peers, nor how a packet
found its session.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from speaker.bfd.events import BfdEvent, BfdEventKind, BfdStatus
from speaker.bfd.fsm import Fsm, Reaction
from speaker.bfd.packet import ControlPacket, Diagnostic, Discard, State, diagnostic_name, unpack
from speaker.bfd.path import Hops, OpenSocket, Path
from speaker.bfd.receiver import Source
from speaker.bfd.sender import Sender
from speaker.clock import Clock
from speaker.model.peer import BfdTimers

_MICROSECONDS = 1e6

_ANSWER_SECONDS = 0.005
"""At most one Final in this time: §6.8.7 lets us limit their rate, as long as we do not advertise a
Desired Min TX Interval below it, and 10 ms is the least that can be configured."""

_PATIENT_TURNS = 32
"""How many turns of the event loop the end of a session waits for packets that have not been read yet."""

_TURN_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sessions share.

    Attributes:
        open_socket: makes a UDP socket of a family, perhaps in another network namespace.
        emit: takes events.
        is_behind: whether packets have arrived that nobody has read yet.
        clock: dates events for people.
    """

    open_socket: OpenSocket
    emit: Callable[[BfdEvent], None]
    is_behind: Callable[[], bool]
    clock: Clock


class Session:
    """A session that runs on the event loop from `start` to `close`.

    Args:
        name: `Peer.name`.
        path: the way to the peer.
        timers: as configured.
        discriminator: ours, unique on this host and not zero.
        around: what all sessions share.
    """

    def __init__(
        self, name: str, path: Path, timers: BfdTimers, discriminator: int, around: Surroundings
    ) -> None:
        self.name = name
        self.path = path
        self.timers = timers
        self.discriminator = discriminator
        self.source_key: Source | None = None
        """From where its packets come; None while the peer's interface is not there."""
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._fsm = Fsm(discriminator, timers)
        self._octets = self._fsm.octets()
        self._steady = b""
        self._sender = Sender(path, around.open_socket)
        self._sent_at = self._heard_at = self._answered_at = float("-inf")
        self._interval: float | None = None
        self._jitter = (0.75, 1.0)
        self._sending: asyncio.TimerHandle | None = None
        self._silence = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self._patience = _PATIENT_TURNS
        self._changed_at: float | None = None
        self._flaps = self._received = 0
        self.discards: Counter[Discard] = Counter()

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Sends the first packet, and whatever follows from it."""
        self._send_now()
        self._refresh()

    def configure(self, timers: BfdTimers) -> None:
        """Takes other timers; a session that is Up stays Up."""
        self.timers = timers
        self._react(self._fsm.configure(timers))

    def leave(self) -> float:
        """Tells the peer AdminDown; the answer is for how many seconds this should go on before `close`.

        "BFD Control packets SHOULD be transmitted for at least a Detection Time after transitioning to
        AdminDown state" (RFC 5880 §6.8.16).
        """
        was_heard = self._fsm.remote_discriminator != 0
        self._react(self._fsm.disable())
        if not was_heard or self._interval is None:
            return 0.0
        return self._interval * self._fsm.multiplier

    def close(self) -> None:
        """Falls silent, without a word to the peer."""
        for timer in (self._sending, self._watching):
            if timer is not None:
                timer.cancel()
        self._sending = self._watching = None
        self._sender.close()

    @property
    def multihop(self) -> bool:
        """Whether routers may stand between (RFC 5883)."""
        return self._sender.multihop

    @property
    def is_down(self) -> bool:
        """Whether nothing is heard from the peer."""
        return self._fsm.state is State.DOWN

    # -- receiving ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """A packet that is this session's; one that breaks a rule is counted."""
        if data == self._steady:
            # The same as before in a session that is Up: all it says is that the peer is there.
            self._heard_at = self._loop.time()
            self._received += 1
            return
        packet = unpack(data)
        if isinstance(packet, Discard):
            self.discards[packet] += 1
            return
        if self._is_override(packet):
            self.discards[Discard.OVERRIDE] += 1
            return
        self._take(packet)
        is_quiet = self._fsm.state is State.UP and not (packet.poll or packet.final)
        self._steady = data if is_quiet else b""

    def _is_override(self, packet: ControlPacket) -> bool:
        """Whether someone who does not know our discriminator speaks for a session that is Up.

        §6.8.6 would let one packet with a forged source take the session down; BIRD and FRR do not. A peer
        that does not hear us any more keeps its own discriminator, and is believed; one that has really
        begun anew is silent in this session, and found by that.
        """
        is_known = packet.your_discriminator or packet.my_discriminator == self._fsm.remote_discriminator
        return self._fsm.state is State.UP and not is_known

    def _take(self, packet: ControlPacket) -> None:
        self._received += 1
        self._heard_at = self._loop.time()
        reaction = self._fsm.receive(packet)
        if reaction.answer and self._heard_at - self._answered_at >= _ANSWER_SECONDS:
            self._answered_at = self._heard_at
            self._sender.send(self._fsm.octets(final=True))
        if reaction.old is State.UP and reaction.new is not State.UP:
            self._react(reaction, self._said(packet), is_failure=_is_failure(packet))
        else:
            self._react(reaction)

    def _said(self, packet: ControlPacket) -> str:
        if packet.state is State.ADMIN_DOWN:
            return f"{self.path.address} has turned BFD off (AdminDown)"
        why = f"({diagnostic_name(packet.diagnostic)} there)"
        if _is_failure(packet):
            return f"{self.path.address} signals that BFD is down {why}"
        return f"{self.path.address} begins BFD anew, and nothing has failed {why}"

    def follow(self, *, multihop: bool) -> bool:
        """Whether the session speaks this way, or changes to it because the peer does."""
        if multihop != self.multihop and self.path.hops is Hops.EITHER and self.is_down:
            self._sender.aim(multihop=multihop)
        return multihop == self.multihop

    # -- silence -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """The Detection Time may have passed."""
        self._watching = None
        if self._loop.time() < self._heard_at + self._silence:
            self._patience = _PATIENT_TURNS
            self._watch()
        elif self._may_have_been_heard():
            self._patience -= 1
            self._watching = self._loop.call_later(_TURN_SECONDS, self._look)
        else:
            self._patience = _PATIENT_TURNS
            silence = f"{self._silence * 1000:g}"
            self._react(self._fsm.expire(), f"no BFD packet came from {self.path.address} for {silence} ms")

    def _may_have_been_heard(self) -> bool:
        """Whether the event loop may have stood still, and not the peer.

        One turn is granted always, for a packet that arrived after this one had begun; more, up to a
        bound that no flood moves, while packets wait to be read.
        """
        is_first_look = self._patience == _PATIENT_TURNS
        return is_first_look or (self._patience > 0 and self._around.is_behind())

    def _watch(self) -> None:
        """Sees to it that `_look` is called no later than the end of the Detection Time."""
        if self._fsm.remote_discriminator == 0:
            return
        deadline = self._heard_at + self._silence
        if self._watching is not None:
            if self._watching.when() <= deadline:
                return
            self._watching.cancel()
        self._watching = self._loop.call_at(deadline, self._look)

    # -- reacting ----------------------------------------------------------------------------------

    def _react(self, reaction: Reaction, reason: str = "", *, is_failure: bool = True) -> None:
        """Does what the state machine asks for, then tells the daemon."""
        self._refresh()
        if reaction.send:
            self._send_now()
        if reaction.old is reaction.new:
            return
        self._changed_at = self._around.clock.time()
        if reaction.new is State.UP:
            self._emit(BfdEventKind.UP, f"BFD with {self.path.address} is up")
        elif reaction.old is State.UP and reaction.new is State.DOWN:
            self._flaps += is_failure
            self._emit(BfdEventKind.DOWN if is_failure else BfdEventKind.ADMIN_DOWN, reason)

    def _emit(self, kind: BfdEventKind, reason: str) -> None:
        diagnostic = int(self._fsm.diagnostic)
        self._around.emit(BfdEvent(peer=self.name, kind=kind, reason=reason, diagnostic=diagnostic))

    def _refresh(self) -> None:
        """Takes over what follows from the state: the packet, the two times."""
        self._octets = self._fsm.octets()
        self._steady = b""
        self._silence = self._fsm.detection_time / _MICROSECONDS
        self._watch()
        # §6.8.7: "reduced by a random value of 0 to 25%"; with a Detect Mult of 1 the interval "MUST be no
        # more than 90% [...], and MUST be no less than 75%".
        self._jitter = (0.75, 0.9 if self._fsm.multiplier == 1 else 1.0)
        interval = self._fsm.transmit_interval
        seconds = None if interval is None else interval / _MICROSECONDS
        if seconds != self._interval:
            self._interval = seconds
            # "the local system cannot wait longer than the new interval between the previous packet
            # transmission and the next one" (§6.8.3)
            self._arm(self._sent_at)

    # -- sending -----------------------------------------------------------------------------------

    def _arm(self, since: float) -> None:
        """Sends the next periodic packet one jittered interval after `since`."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self._interval is not None:
            # It keeps senders from falling into step, and is no secret.
            wait = self._interval * random.uniform(*self._jitter)  # noqa: S311
            self._sending = self._loop.call_at(max(since + wait, self._loop.time()), self._send_now)

    def _send_now(self) -> None:
        self._sent_at = self._loop.time()
        if self.is_down:
            self._sender.renew(self._sent_at)
        self._sender.send(self._octets)
        self._arm(self._sent_at)

    # -- showing -----------------------------------------------------------------------------------

    def status(self) -> BfdStatus:
        """The session as it stands."""
        fsm = self._fsm
        detection = fsm.detection_time / 1000
        return BfdStatus(
            state=fsm.state,
            remote_state=fsm.remote_state,
            local_discriminator=self.discriminator,
            remote_discriminator=fsm.remote_discriminator,
            multihop=self.multihop,
            transmit_milliseconds=None if self._interval is None else self._interval * 1000,
            receive_milliseconds=detection / fsm.remote_multiplier if fsm.remote_multiplier else 0.0,
            detection_milliseconds=detection,
            diagnostic=diagnostic_name(fsm.diagnostic),
            remote_diagnostic=diagnostic_name(fsm.remote_diagnostic),
            control_plane_independent=fsm.remote_independent,
            changed_at=self._changed_at,
            flaps=self._flaps,
            packets_in=self._received,
            packets_out=self._sender.sent,
            discards=dict(self.discards),
            send_errors=self._sender.errors,
            last_send_error=self._sender.last_error,
        )


def _is_failure(packet: ControlPacket) -> bool:
    """Whether a peer that ends a session which is Up means that the path has failed.

    AdminDown does not (RFC 5882 §3.2). Nor does "Neighbor Signaled Session Down" while we have signaled
    nothing of the kind: FRR says so when it replaces its session by another one, as it does once the BGP
    session is established for the first time.
    """
    return packet.state is State.DOWN and packet.diagnostic != Diagnostic.NEIGHBOR_SIGNALED_DOWN
