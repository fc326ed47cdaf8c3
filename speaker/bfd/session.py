"""The BFD session with one peer: its state machine, its timers on the event loop and its sending socket.

Knows when to send, and when silence has lasted too long. Must not know other peers, nor how a packet
found its session.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from speaker.bfd.events import BfdEvent, BfdEventKind, BfdStatus
from speaker.bfd.fsm import Fsm, Reaction
from speaker.bfd.packet import ControlPacket, Discard, State, diagnostic_name, unpack
from speaker.bfd.path import Hops, OpenSocket, Path, sending_socket
from speaker.bfd.receiver import Source
from speaker.clock import Clock
from speaker.model.peer import BfdTimers
from speaker.sockets import describe

_MICROSECONDS = 1e6

_ANSWER_SECONDS = 0.005
"""At most one Final in this time: §6.8.7 lets us limit their rate, as long as we do not advertise a
Desired Min TX Interval below it, and 10 ms is the least that can be configured."""

_REOPEN_SECONDS = 5.0
"""While a session is Down its socket is made anew this often, so that it follows changed addresses."""

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
        # Where the peer is to decide, it can only answer; a router on the link is the common case.
        self.multihop = path.hops is Hops.MANY
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._fsm = Fsm(discriminator, timers)
        self._octets = self._fsm.octets()
        self._steady = b""
        self._sock: socket.socket | None = None
        self._opened_at = 0.0
        self._port: int | None = None
        self._sent_at = self._heard_at = self._answered_at = float("-inf")
        self._interval: float | None = None
        self._jitter = (0.75, 1.0)
        self._sending: asyncio.TimerHandle | None = None
        self._silence = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self._patience = _PATIENT_TURNS
        self._changed_at: float | None = None
        self._flaps = self._received = self._sent = self._send_errors = 0
        self._last_send_error = ""
        self.discards: Counter[Discard] = Counter()

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Sends the first packet, and whatever follows from it."""
        self._send_now()
        self._refresh()

    def configure(self, timers: BfdTimers) -> None:
        """Takes other timers; a session that is Up stays Up."""
        self.timers = timers
        self._react(self._fsm.configure(timers), "")

    def leave(self) -> float:
        """Tells the peer AdminDown; the answer is for how many seconds this should go on before `close`.

        "BFD Control packets SHOULD be transmitted for at least a Detection Time after transitioning to
        AdminDown state" (RFC 5880 §6.8.16).
        """
        was_heard = self._fsm.remote_discriminator != 0
        self._react(self._fsm.disable(), "")
        if not was_heard or self._interval is None:
            return 0.0
        return self._interval * self._fsm.multiplier

    def close(self) -> None:
        """Falls silent, without a word to the peer."""
        for timer in (self._sending, self._watching):
            if timer is not None:
                timer.cancel()
        self._sending = self._watching = None
        self._close_socket()

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
        self._take(packet)
        is_quiet = self._fsm.state is State.UP and not (packet.poll or packet.final)
        self._steady = data if is_quiet else b""

    def _take(self, packet: ControlPacket) -> None:
        self._received += 1
        self._heard_at = self._loop.time()
        reaction = self._fsm.receive(packet)
        if reaction.answer and self._heard_at - self._answered_at >= _ANSWER_SECONDS:
            self._answered_at = self._heard_at
            self._send(self._fsm.octets(final=True))
        self._react(reaction, self._said(packet) if reaction.old is not reaction.new else "")

    def _said(self, packet: ControlPacket) -> str:
        if packet.state is State.ADMIN_DOWN:
            return f"{self.path.address} has turned BFD off (AdminDown)"
        why = diagnostic_name(packet.diagnostic)
        return f"{self.path.address} signals that BFD is down ({why} there)"

    def follow(self, *, multihop: bool) -> bool:
        """Whether the session speaks this way, or changes to it because the peer does."""
        if multihop != self.multihop and self.path.hops is Hops.EITHER and self.is_down:
            self.multihop = multihop
            self._close_socket()
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

    def _react(self, reaction: Reaction, reason: str) -> None:
        """Does what the state machine asks for, then tells the daemon."""
        self._refresh()
        if reaction.send:
            self._send_now()
        if reaction.old is not reaction.new:
            self._changed_at = self._around.clock.time()
            self._report(reaction, reason)

    def _report(self, reaction: Reaction, reason: str) -> None:
        if reaction.new is State.UP:
            self._emit(BfdEventKind.UP, f"BFD with {self.path.address} is up")
        elif reaction.old is State.UP and reaction.new is State.DOWN:
            if self._fsm.remote_discriminator and self._fsm.remote_state is State.ADMIN_DOWN:
                self._emit(BfdEventKind.ADMIN_DOWN, reason)
            else:
                self._flaps += 1
                self._emit(BfdEventKind.DOWN, reason)

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
        self._send(self._octets)
        self._arm(self._sent_at)

    def _send(self, octets: bytes) -> None:
        try:
            self._give(octets)
            self._last_send_error = ""
        except ConnectionRefusedError as error:
            # What an earlier packet met (nobody listens there) is told now, and this one was not sent.
            self._last_send_error = describe(error)
            self._send_again(octets)
        except OSError as error:
            self._failed(error)

    def _send_again(self, octets: bytes) -> None:
        try:
            self._give(octets)
        except OSError as error:
            self._failed(error)

    def _give(self, octets: bytes) -> None:
        self._socket().send(octets)
        self._sent += 1

    def _failed(self, error: OSError) -> None:
        """No way to the peer now: the next packet tries again, with a socket that knows new addresses."""
        self._send_errors += 1
        self._last_send_error = describe(error)
        if not isinstance(error, BlockingIOError):
            self._close_socket()

    def _socket(self) -> socket.socket:
        now = self._loop.time()
        if self._sock is not None and self.is_down and now - self._opened_at > _REOPEN_SECONDS:
            self._close_socket()
        if self._sock is None:
            self._sock = sending_socket(
                self.path, multihop=self.multihop, port=self._port, open_socket=self._around.open_socket
            )
            self._opened_at = now
            self._port = int(self._sock.getsockname()[1])
        return self._sock

    def _close_socket(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

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
            packets_out=self._sent,
            discards=dict(self.discards),
            send_errors=self._send_errors,
            last_send_error=self._last_send_error,
        )
