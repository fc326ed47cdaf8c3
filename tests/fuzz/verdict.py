"""What a speaker may answer to bytes, and what it may not: the judge of every input.

Knows the registries of IANA and what was fed. Must not know the engine.
"""

from dataclasses import dataclass

from tests.fuzz import wire

LONGEST_NOTIFICATION = 4096  # RFC 8654 §5 leaves NOTIFICATION to peers that take no longer messages

# IANA, "BGP Error (Notification) Codes" and the subcodes of each; 0 is "Unspecific" (RFC 4271 errata 4493).
LEGAL = {
    1: frozenset({0, 1, 2, 3}),
    2: frozenset({0, 1, 2, 3, 4, 6, 7, 11}),
    3: frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11}),
    4: frozenset({0}),
    5: frozenset({0, 1, 2, 3}),
    6: frozenset(range(1, 11)),
    7: frozenset({1}),
    8: frozenset({0}),
}
# RFC 4271 §6.1, §6.2: how many octets of data belong to these; None is any number.
_DATA_OCTETS = {(1, 1): 0, (1, 2): 2, (1, 3): 1, (2, 1): 2, (2, 2): 0, (2, 3): 0, (2, 6): 0}


class Finding(AssertionError):  # noqa: N818 -- that is what fuzzing calls it
    """An input that was answered as no speaker may answer; `data` is what shows it, if not the input."""

    def __init__(self, what: str, data: bytes | None = None) -> None:
        super().__init__(what)
        self.data = data


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine has sent on one connection.

    Attributes:
        kinds: the types of its messages, in order.
        notification: code, subcode and data, if it sent one.
    """

    kinds: tuple[int, ...]
    notification: tuple[int, int, bytes] | None


def read_answer(sent: bytes, *, opened: bool) -> Answer:
    """Takes what was sent apart; `opened` when our OPEN was seen before.

    Raises:
        Finding: it is no proper sequence of messages.
    """
    messages = list(wire.frames(sent))
    if sum(wire.HEADER.size + len(message.body) for message in messages) != len(sent):
        raise Finding("the last message sent is cut short")
    for message in messages:
        if not message.proper or message.kind not in range(1, 6):
            raise Finding(f"sent a message with an improper header, type {message.kind}")
    kinds = tuple(message.kind for message in messages)
    if kinds.count(wire.OPEN) != (not opened) or not (opened or kinds[0] == wire.OPEN):
        raise Finding(f"sent messages in an order that is none: {kinds}")
    if wire.NOTIFICATION not in kinds:
        return Answer(kinds, None)
    if kinds.index(wire.NOTIFICATION) != len(kinds) - 1:
        raise Finding("went on after a NOTIFICATION, or sent two")
    return Answer(kinds, _checked(messages[-1].body))


def _checked(body: bytes) -> tuple[int, int, bytes]:
    code, subcode, data = body[0], body[1], body[2:]
    if subcode not in LEGAL.get(code, ()):
        raise Finding(f"sent NOTIFICATION {code}/{subcode}, which nobody has defined")
    if wire.HEADER.size + len(body) > LONGEST_NOTIFICATION:
        raise Finding(f"sent a NOTIFICATION of {len(body)} octets")
    octets = _DATA_OCTETS.get((code, subcode))
    if octets is not None and len(data) != octets:
        raise Finding(f"sent NOTIFICATION {code}/{subcode} with {len(data)} octets of data, not {octets}")
    return code, subcode, data


def may_close_silently(fed: bytes) -> bool:
    """Whether what was fed holds a NOTIFICATION, the one message that ends a connection unanswered."""
    return any(message.kind == wire.NOTIFICATION for message in wire.frames(fed))
