"""Fuzz targets: bytes that a peer sends, in each state and to several kinds of peer.

The property: any bytes end in acceptance or in a legal NOTIFICATION, never in an exception, a hang or
growth. An input says by its first octet who is spoken to and in which state, by its second into what
pieces it is cut; the rest are the bytes.

A session that has accepted everything goes on with the next input, which is what makes this fast and shows
what only a longer session does. A finding then names all that its session was fed, as one input.
"""

from dataclasses import dataclass, field
from itertools import islice

from speaker.bgp import SessionEventKind
from speaker.model.peer import SessionState
from tests.fuzz import wire
from tests.fuzz.engine import RECEIVED_LIMIT, SETTINGS, Engine
from tests.fuzz.idle_loop import EndlessError, FakeSocket
from tests.fuzz.verdict import Answer, Finding, may_close_silently, read_answer

STATES = (SessionState.OPEN_SENT, SessionState.OPEN_CONFIRM, SessionState.ESTABLISHED)
_LINGER_SECONDS = 5.0
_LONGEST_REASON = 400
_MOST_PIECES = 16
_INPUTS_OF_A_SESSION = 100


@dataclass
class _Talk:
    """One connection, and all that was fed to it since it had reached its state.

    Attributes:
        where: the first octet of its inputs.
    """

    connection: FakeSocket
    where: int
    state: SessionState
    fed: bytearray = field(default_factory=bytearray)
    inputs: int = 0
    opened: bool = False

    @property
    def whole_input(self) -> bytes:
        """All its inputs as one of `stream_target`."""
        return bytes((self.where, 0)) + bytes(self.fed)

    def read(self) -> Answer:
        """What the engine has sent since the last time."""
        answer = read_answer(bytes(self.connection.sent), opened=self.opened)
        self.opened = True
        self.connection.sent.clear()
        return answer


_engines: dict[str, Engine] = {}
_talks: dict[str, _Talk] = {}


def input_for(setting: int, state: SessionState, stream: bytes, *, piece: int = 0) -> bytes:
    """An input of `stream_target` or `messages_target`."""
    return bytes((setting * len(STATES) + STATES.index(state), piece)) + stream


def stream_target(data: bytes) -> None:
    """The bytes of a peer as they are.

    Raises:
        Finding: they were answered as they must not be.
    """
    if len(data) >= 2:
        _judge(data[0], data[1], data[2:])


def messages_target(data: bytes) -> None:
    """Records of type, two octets of length and body, each framed as a proper message.

    Raises:
        Finding: they were answered as they must not be.
    """
    if len(data) >= 2:
        _judge(data[0], data[1], framed(data[2:]))


def framed(records: bytes) -> bytes:
    """The stream of messages that records stand for; the last one takes what is left."""
    parts: list[bytes] = []
    while len(records) >= 3:
        length = int.from_bytes(records[1:3], "big")
        parts.append(wire.frame(records[0], records[3 : 3 + length]))
        records = records[3 + length :]
    return b"".join(parts)


def record(kind: int, body: bytes) -> bytes:
    """One record of `framed`."""
    return bytes((kind,)) + len(body).to_bytes(2, "big") + body


def close_engines() -> None:
    """Ends what the targets have built."""
    for engine in _engines.values():
        engine.close()
    _engines.clear()
    _talks.clear()


def _judge(where: int, piece: int, stream: bytes) -> None:
    setting = SETTINGS[where // len(STATES) % len(SETTINGS)]
    engine = _engines.get(setting.name) or _engines.setdefault(setting.name, Engine(setting))
    talk = _talks.get(setting.name)
    try:
        if talk is None or not _goes_on(talk, where):
            if talk is not None:
                _finish(engine, talk)
            talk = _talks[setting.name] = _begin(engine, where)
        _run(engine, talk, piece, stream)
    except (Finding, EndlessError) as error:
        # What comes after must not suffer from it.
        _engines.pop(setting.name).close()
        _talks.pop(setting.name, None)
        if talk is None:
            raise
        whole = talk.whole_input if talk.inputs > 1 else bytes((where, piece)) + bytes(talk.fed)
        raise Finding(str(error), whole) from error


def _goes_on(talk: _Talk, where: int) -> bool:
    state = STATES[where % len(STATES)]
    return talk.state is state is SessionState.ESTABLISHED and talk.inputs < _INPUTS_OF_A_SESSION


def _begin(engine: Engine, where: int) -> _Talk:
    state = STATES[where % len(STATES)]
    talk = _Talk(engine.connect(), where, state)
    engine.bring_to(talk.connection, state)
    talk.read()
    return talk


def _run(engine: Engine, talk: _Talk, piece: int, stream: bytes) -> None:
    engine.events.clear()
    talk.fed += stream
    talk.inputs += 1
    for part in _pieces(stream, piece):
        talk.connection.feed(part)
        engine.loop.settle()
    _check_alive(engine)
    answer = talk.read()
    _check_growth(engine, stream)
    over = _check_end(engine, talk, answer)
    if over or engine.state is not talk.state or not _ends_with_a_message(stream):
        del _talks[engine.setting.name]
        _finish(engine, talk)


def _finish(engine: Engine, talk: _Talk) -> None:
    talk.connection.end()
    engine.loop.settle()
    engine.rest()
    _check_alive(engine)
    if not talk.connection.closed:
        raise Finding("the connection stays open after the peer's end")
    if engine.state is not SessionState.ACTIVE:
        raise Finding(f"the session does not come back: {engine.state}")
    if engine.tasks != engine.tasks_at_rest:
        raise Finding(f"{engine.tasks - engine.tasks_at_rest} tasks are left over")


def _pieces(stream: bytes, piece: int) -> list[bytes]:
    if not piece:
        return [stream]
    starts = list(islice(range(0, len(stream), piece), _MOST_PIECES))
    return [stream[start : start + piece] for start in starts[:-1]] + [
        stream[start:] for start in starts[-1:]
    ]


def _ends_with_a_message(stream: bytes) -> bool:
    whole = sum(wire.HEADER.size + len(message.body) for message in wire.frames(stream))
    return whole == len(stream)


def _check_alive(engine: Engine) -> None:
    if engine.running.done():
        raise Finding(f"the engine ended: {engine.running.exception()!r}") from engine.running.exception()
    if engine.loop.failures:
        raise Finding(f"a callback failed: {engine.loop.failures}")


def _check_end(engine: Engine, talk: _Talk, answer: Answer) -> bool:
    """Whether the connection is over; if so, it has ended as it must."""
    if answer.notification is None and engine.state not in (SessionState.IDLE, SessionState.ACTIVE):
        return False
    engine.loop.advance(_LINGER_SECONDS)
    if not talk.connection.closed:
        raise Finding("the connection stays open after its end")
    if answer.notification is None and not may_close_silently(bytes(talk.fed)):
        raise Finding("the connection was closed without a word")
    if talk.connection.sent:
        raise Finding("more was sent after the end")
    return True


def _check_growth(engine: Engine, stream: bytes) -> None:
    status = engine.peers.sessions()["tor"]
    if sum(count for _, count in status.received) > RECEIVED_LIMIT:
        raise Finding(f"{status.received} prefixes are kept")
    messages = len(stream) // wire.HEADER.size
    if len(engine.events) > messages + 4:
        raise Finding(f"{len(engine.events)} events for {messages} messages")
    for event in engine.events:
        if len(event.reason) > _LONGEST_REASON or not event.reason.isprintable():
            raise Finding(f"an event gives an unbounded reason: {event.reason!r}")
        if event.kind is SessionEventKind.UPDATE_RECEIVED and len(event.advertised) > len(stream):
            raise Finding("more routes than octets")
