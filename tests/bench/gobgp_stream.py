"""gobgpd fed by its gRPC stream (AddPathStream): the fastest way in that it has.

Knows the Protocol Buffers encoding of the few messages that are needed, so that no stubs are generated: the
field numbers are those of GoBGP 3's api/gobgp.proto and api/attribute.proto. What is streamed is encoded
before the clock starts.
"""

import importlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import Any

from tests.bench.place import HOLD_SECONDS, NODE, NODE_ASN, ROUTER, ROUTER_ASN, Place
from tests.lab.routers.config import RouterConfig, neighbor
from tests.lab.routers.gobgp import GoBgp

BATCH = 500
_METHOD = "/apipb.GobgpApi/AddPathStream"
_VARINT, _BYTES = 0, 2
_STREAM_SECONDS = 120.0


def missing() -> str | None:
    """Why nothing can be streamed here, as a sentence, or None."""
    try:
        importlib.import_module("grpc")
    except ImportError:
        return "streaming routes into gobgpd needs grpcio (pip install --group bench)"
    return None


def gobgpd(at: Place) -> GoBgp:
    """A gobgpd on the node that dials the collector; not started."""
    config = RouterConfig(
        asn=NODE_ASN,
        router_id=str(NODE),
        neighbors=(neighbor(str(ROUTER), ROUTER_ASN),),
        hold_seconds=HOLD_SECONDS,
        keepalive_seconds=HOLD_SECONDS // 3,
        graceful_restart=False,
    )
    return GoBgp(config, at.node)


def requests(addresses: Sequence[IPv4Address], next_hop: IPv4Address) -> list[bytes]:
    """The stream: messages of `BATCH` host routes each."""
    origin = _any("OriginAttribute", b"")
    hop = _any("NextHopAttribute", _field(1, str(next_hop).encode()))
    attributes = _field(2, origin) + _field(2, hop)
    family = _field(9, _number(1, 1) + _number(2, 1))
    paths = [
        _field(
            3,
            _field(1, _any("IPAddressPrefix", _number(1, 32) + _field(2, str(address).encode())))
            + attributes
            + family,
        )
        for address in addresses
    ]
    return [b"".join(paths[start : start + BATCH]) for start in range(0, len(paths), BATCH)]


async def stream(router: GoBgp, messages: Sequence[bytes]) -> None:
    """Send them all; returns when gobgpd has taken them."""
    grpc: Any = importlib.import_module("grpc.aio")
    async with grpc.insecure_channel(f"unix://{router.folder}/api.sock") as channel:
        await channel.channel_ready()
        call = channel.stream_unary(_METHOD, request_serializer=_same, response_deserializer=_same)
        await call(_each(messages), timeout=_STREAM_SECONDS)


async def _each(messages: Sequence[bytes]) -> Any:
    for message in messages:
        yield message


def _same(message: bytes) -> bytes:
    return message


def _any(kind: str, value: bytes) -> bytes:
    return _field(1, f"type.googleapis.com/apipb.{kind}".encode()) + (_field(2, value) if value else b"")


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + b"".join(_varint(len(value))) + value


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3 | _VARINT]) + b"".join(_varint(value))


def _varint(value: int) -> Iterator[bytes]:
    while value > 127:
        yield bytes([value & 127 | 128])
        value >>= 7
    yield bytes([value])
