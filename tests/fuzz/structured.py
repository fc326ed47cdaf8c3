"""Inputs made with a plan: valid messages with damage done to them, as hypothesis strategies.

Knows what messages look like. Must not know the engine: the targets judge.
"""

import struct
import time
from collections.abc import Mapping

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets, wire
from tests.fuzz.sessions import STATES, record
from tests.fuzz.texts import KEYS
from tests.fuzz.verdict import Finding

_octets = st.integers(0, 255)
_some_bytes = st.binary(max_size=40)
_uint32 = st.integers(0, 0xFFFFFFFF) | st.sampled_from([0, 1, 23456, 65000, 65030, 0xFFFFFFFF])

# -- OPEN ------------------------------------------------------------------------------------------

_KNOWN_CAPABILITIES = (1, 2, 4, 5, 6, 8, 9, 64, 65, 66, 67, 69, 70, 71, 72, 73, 128, 131)
_capability_values = st.one_of(
    _some_bytes,
    st.tuples(st.integers(0, 3), _octets, st.integers(0, 3)).map(lambda v: struct.pack("!HBB", *v)),
    _uint32.map(lambda value: struct.pack("!L", value)),
    st.lists(st.sampled_from([b"\0\1\1\1", b"\0\2\1\3", b"\0\1\1\x80", b"\x40\x5a", b"\0\1\0\1\0\2"])).map(
        b"".join
    ),
)


@st.composite
def capabilities(draw: st.DrawFn) -> bytes:
    """A capability of any code, whose length may lie."""
    code = draw(st.sampled_from(_KNOWN_CAPABILITIES) | _octets)
    value = draw(_capability_values)
    length = draw(st.just(len(value)) | _octets) if draw(st.booleans()) else len(value)
    return wire.capability(code, value, length=length & 0xFF)


@st.composite
def opens(draw: st.DrawFn) -> bytes:
    """The body of an OPEN."""
    every = b"".join(draw(st.lists(capabilities(), max_size=6)))
    form = draw(st.sampled_from(["usual", "several", "extended", "any"]))
    if form == "usual":
        parameters = wire.parameter(2, every[:255])
    elif form == "several":
        parameters = wire.parameter(2, every[:100]) + wire.parameter(draw(_octets), every[100:200])
    elif form == "extended":
        # RFC 9072 §2: two octets of 255, then the length, then parameters with two octets of length.
        inner = struct.pack("!BH", draw(st.sampled_from([2, 2, 2, 255])), len(every)) + every
        parameters = struct.pack("!BH", 255, len(inner)) + inner
    else:
        parameters = draw(st.binary(max_size=255))
    length = draw(st.sampled_from([min(len(parameters), 255), 255, 0]) | _octets)
    message = wire.open_message(
        draw(st.sampled_from([65030, 65000, 0, 23456]) | _uint32),
        router_id=draw(st.sampled_from([b"\x0a\0\0\2", b"\x0a\0\0\1", bytes(4), b"\xff" * 4])),
        hold_time=draw(st.sampled_from([90, 0, 1, 2, 3, 65535])),
        version=draw(st.sampled_from([4, 4, 4, 4, 0, 3, 5, 255])),
        parameters=parameters,
        parameters_length=min(len(parameters), 255) if draw(st.booleans()) else length,
    )
    return message[wire.HEADER.size :]


# -- UPDATE ----------------------------------------------------------------------------------------

_ATTRIBUTE_TYPES = (*range(1, 41), 128, 255)
_VALUES: Mapping[int, st.SearchStrategy[bytes]] = {
    wire.ORIGIN: st.sampled_from([b"\0", b"\1", b"\2", b"\3", b"\xff"]),
    wire.NEXT_HOP: st.sampled_from(
        [bytes.fromhex(value) for value in ("c0000201", "00000000", "ffffffff", "e0000001", "7f000001")]
    ),
    wire.MED: st.binary(min_size=4, max_size=4),
    wire.LOCAL_PREF: st.binary(min_size=4, max_size=4),
    wire.ATOMIC_AGGREGATE: st.just(b""),
    wire.AGGREGATOR: st.binary(min_size=8, max_size=8) | st.binary(min_size=6, max_size=6),
    wire.ORIGINATOR_ID: st.binary(min_size=4, max_size=4),
    wire.OTC: st.binary(min_size=4, max_size=4),
}


def _multiples(octets: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.binary(min_size=octets, max_size=octets), max_size=6).map(b"".join)


_COUNTED = {
    wire.COMMUNITIES: 4,
    wire.CLUSTER_LIST: 4,
    wire.EXTENDED_COMMUNITIES: 8,
    wire.LARGE_COMMUNITY: 12,
}


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    """The value of AS_PATH or AS4_PATH: segments whose counts may lie."""
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        asns = draw(st.lists(_uint32, max_size=4))
        count = draw(st.sampled_from([len(asns), len(asns), 0, 255]))
        kind = draw(st.sampled_from([2, 2, 1, 3, 4, 0, 5, 255]))
        parts.append(bytes((kind, count)) + struct.pack(f"!{len(asns)}L", *asns))
    return b"".join(parts)


@st.composite
def prefixes(draw: st.DrawFn) -> bytes:
    """NLRI of any length in bits, with and without path identifiers, perhaps cut."""
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        bits = draw(st.sampled_from([0, 8, 24, 32, 64, 128]) | st.integers(0, 33) | _octets)
        octets = draw(st.binary(min_size=(bits + 7) >> 3, max_size=(bits + 7) >> 3))
        path_id = struct.pack("!L", draw(_uint32)) if draw(st.booleans()) else b""
        parts.append(path_id + bytes((bits,)) + octets)
    whole = b"".join(parts)
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 9)) == 0 else whole


@st.composite
def multiprotocol(draw: st.DrawFn) -> bytes:
    """The value of MP_REACH_NLRI or MP_UNREACH_NLRI."""
    head = struct.pack(
        "!HB", draw(st.sampled_from([1, 2, 2, 3, 25])), draw(st.sampled_from([1, 1, 2, 4, 128]))
    )
    if draw(st.booleans()):
        return head + draw(prefixes())
    hop = draw(
        st.sampled_from([bytes(16), b"\x20\1\x0d\xb8" + bytes(12), bytes(32), bytes(4), b"", bytes(24)])
    )
    length = draw(st.sampled_from([len(hop), len(hop), 0, 255]))
    return (
        head + bytes((length,)) + hop + draw(st.sampled_from([b"\0", b"\0", b"\1", b""])) + draw(prefixes())
    )


@st.composite
def attributes(draw: st.DrawFn) -> bytes:
    """One path attribute of any type, right or wrong in flags, length and value."""
    kind = draw(st.sampled_from(_ATTRIBUTE_TYPES))
    if kind in (wire.AS_PATH, wire.AS4_PATH):
        proper = paths()
    elif kind in (wire.MP_REACH_NLRI, wire.MP_UNREACH_NLRI):
        proper = multiprotocol()
    elif kind in _COUNTED:
        proper = _multiples(_COUNTED[kind])
    else:
        proper = _VALUES.get(kind, _some_bytes)
    value = draw(st.one_of(proper, proper, proper, _some_bytes))
    flags = draw(st.none() | _octets) if draw(st.booleans()) else None
    length = draw(st.integers(0, 300)) if draw(st.integers(0, 7)) == 0 else len(value)
    if flags is not None and not flags & wire.EXTENDED:
        length = min(length, 255)
    return wire.attribute(kind, value, flags=flags, length=length)


_MANDATORY = (
    wire.attribute(wire.ORIGIN, b"\0"),
    wire.as_path(65030),
    wire.attribute(wire.NEXT_HOP, bytes.fromhex("c0000201")),
)


@st.composite
def updates(draw: st.DrawFn) -> bytes:
    """The body of an UPDATE: mandatory attributes, some others in any order, perhaps twice."""
    chosen = [*draw(st.sampled_from([_MANDATORY, _MANDATORY, (), _MANDATORY[:2]]))]
    chosen += draw(st.lists(attributes(), max_size=5))
    if draw(st.integers(0, 4)) == 0:
        chosen = draw(st.permutations([*chosen, *chosen[:1]]))
    packed = b"".join(chosen)
    lie = draw(st.integers(0, 9)) == 0
    message = wire.update_message(
        packed,
        draw(prefixes()),
        draw(prefixes()) if draw(st.booleans()) else b"",
        attributes_length=draw(st.integers(0, 0xFFFF)) if lie else None,
        withdrawn_length=draw(st.integers(0, 300)) if lie and draw(st.booleans()) else None,
    )
    return message[wire.HEADER.size :]


# -- inputs ----------------------------------------------------------------------------------------

_BODIES: Mapping[int, st.SearchStrategy[bytes]] = {
    wire.OPEN: opens(),
    wire.UPDATE: updates(),
    wire.NOTIFICATION: st.tuples(_octets, _octets, _some_bytes).map(lambda v: bytes(v[:2]) + v[2]),
    wire.KEEPALIVE: st.just(b""),
    wire.ROUTE_REFRESH: st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)).map(
        lambda v: struct.pack("!HBB", *v)
    )
    | _some_bytes,
}
_kinds = st.sampled_from(
    [wire.OPEN, *[wire.UPDATE] * 6, wire.NOTIFICATION, wire.KEEPALIVE, wire.ROUTE_REFRESH]
)
_messages = _kinds.flatmap(lambda kind: st.tuples(st.just(kind), _BODIES[kind]))
_where = st.integers(0, 4 * len(STATES) - 1)
_piece = st.sampled_from([0, 0, 0, 1, 18, 19, 20, 100])


@st.composite
def messages_inputs(draw: st.DrawFn) -> bytes:
    """Inputs of `messages_target`: an OPEN first where one is expected."""
    where = draw(_where)
    said = draw(st.lists(_messages, min_size=1, max_size=4))
    if where % len(STATES) == 0:
        said = [(wire.OPEN, draw(opens())), *said]
    return bytes((where, draw(_piece))) + b"".join(record(kind, body) for kind, body in said)


@st.composite
def stream_inputs(draw: st.DrawFn) -> bytes:
    """Inputs of `stream_target`: messages whose headers lie, that are cut, repeated or damaged."""
    parts = []
    for kind, body in draw(st.lists(_messages, min_size=1, max_size=4)):
        length = draw(st.none() | st.sampled_from([0, 18, 19, 23, 4096, 4097, 65535]) | st.integers(19, 200))
        honest = draw(st.integers(0, 3)) > 0
        parts.append(wire.frame(kind if honest else draw(_octets), body, length=None if honest else length))
    stream = bytearray(b"".join(parts * draw(st.integers(1, 2))))
    for position in draw(st.lists(st.integers(0, len(stream) - 1), max_size=4)):
        stream[position] = draw(_octets)
    return bytes((draw(_where), draw(_piece))) + bytes(stream[: draw(st.integers(1, len(stream)))])


bodies_inputs = st.one_of(
    opens().map(lambda body: b"\0" + body),
    st.tuples(st.sampled_from([1, 3, 5, 7]), updates()).map(lambda v: bytes((v[0],)) + v[1]),
)

_words = st.sampled_from(
    [
        "true",
        "local",
        "no",
        "65000:1",
        "65000:1:2",
        "no-export",
        "4294967296",
        "-1",
        "\u0661",
        "::1",
        "10.0.0.1",
    ]
)
_values = st.lists(_words | st.text(max_size=12), max_size=70).map(",".join)
_lines = st.tuples(st.integers(0, len(KEYS) - 1), _values)
annotation_inputs = st.lists(_lines, max_size=6).map(
    lambda lines: b"\n".join(bytes((key,)) + text.encode(errors="surrogatepass") for key, text in lines)
)

_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["status", "refuse"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["command", "peer"]) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
control_inputs = st.one_of(
    st.binary(max_size=60),
    st.tuples(_json, st.sampled_from(["\n", "", "\n\n"])).map(
        lambda v: f"{v[0]!r}{v[1]}".encode(errors="replace")
    ),
    st.integers(1, 70_000).map(lambda depth: b"[" * depth + b"\n"),
    st.sampled_from(["status", "refuse", "x"]).map(lambda name: b'{"command": "%s"}\n' % name.encode()),
)

_bfd_fields = st.tuples(
    st.sampled_from([0x20, 0x20, 0x20, 0x21, 0x3F, 0x00, 0x40]),
    _octets,
    st.sampled_from([3, 3, 1, 255, 0]),
    st.sampled_from([24, 24, 24, 23, 25, 26, 0, 255]),
    *[st.sampled_from([0, 1, 7, 100_000, 0xFFFFFFFF]) | _uint32] * 5,
)
_bfd_packets = _bfd_fields.map(lambda fields: struct.pack("!BBBBIIIII", *fields))
_bfd_records = st.one_of(
    _bfd_packets.map(lambda packet: bytes((24,)) + packet),
    st.tuples(_bfd_packets, _some_bytes).map(lambda v: bytes((24 + len(v[1]),)) + v[0] + v[1]),
    st.tuples(_bfd_packets, st.integers(0, 24)).map(lambda v: bytes((v[1],)) + v[0][: v[1]]),
    st.just(b"\xff"),
)
bfd_inputs = st.lists(_bfd_records, max_size=12).map(b"".join)

STRATEGIES: Mapping[str, st.SearchStrategy[bytes]] = {
    "messages": messages_inputs(),
    "stream": stream_inputs(),
    "bodies": bodies_inputs,
    "bfd": bfd_inputs,
    "annotations": annotation_inputs,
    "control": control_inputs,
}

_EXAMPLES = 50


def run(name: str, seconds: float) -> bool:
    """Feeds a target for a time; False on a finding, whose smallest input is then in the corpus."""
    last: dict[str, bytes] = {}

    @settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(STRATEGIES[name])
    def feed(data: bytes) -> None:
        try:
            targets.TARGETS[name](data)
        except Exception as error:
            whole = error.data if isinstance(error, Finding) else None
            last.clear()
            last[name if whole is None else "stream"] = data if whole is None else whole
            raise

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            feed()
        except Exception as error:  # noqa: BLE001 -- any at all is what is looked for
            kept = [str(targets.keep(*item)) for item in last.items()]
            print(f"finding: {error!r}\nits input: {' '.join(kept)}", flush=True)
            return False
    return True
