"""UPDATEs put together octet by octet, and a decoder for them."""

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

from speaker.bgp.codec_open import pack_open
from speaker.bgp.codec_update import UpdateDecoder
from speaker.model.prefix import Family, Prefix
from tests.bgp.builders import peer
from tests.bgp.strategies import prefixes

ORIGIN = bytes.fromhex("40010100")
AS_PATH = bytes.fromhex("400206 0201 0000fe06")
NEXT_HOP = bytes.fromhex("400304 c0000201")
MALFORMED_MED = bytes.fromhex("800402 0001")
UNKNOWN = bytes.fromhex("c0fa02 0001")

fields = st.lists(st.tuples(prefixes(Family.IPV4), st.integers(0, 2)), max_size=5)
wide_fields = st.lists(st.tuples(prefixes(Family.IPV6), st.integers(0, 2)), max_size=5)
attributes = st.sampled_from(
    (ORIGIN + AS_PATH + NEXT_HOP, ORIGIN + AS_PATH, ORIGIN + AS_PATH + NEXT_HOP + MALFORMED_MED, UNKNOWN, b"")
)


def decoder(*, with_paths: bool) -> UpdateDecoder:
    ours = peer(add_path_receive=with_paths)
    theirs = peer(asn=ours.local_asn, local_asn=ours.asn, add_path_send=with_paths)
    return UpdateDecoder(ours, pack_open(theirs, restarting=False, forwarding_preserved=True)[19:])


def field(named: Sequence[tuple[Prefix, int]], *, with_paths: bool) -> bytes:
    return b"".join(
        (path_id.to_bytes(4) if with_paths else b"")
        + bytes((each.prefixlen,))
        + each.network_address.packed[: (each.prefixlen + 7) // 8]
        for each, path_id in named
    )


def multiprotocol(kind: int, before: bytes, nlri: bytes) -> bytes:
    value = before + nlri
    return struct.pack("!BBH", 0x90, kind, len(value)) + value if nlri else b""


def update(withdrawn: bytes, packed: bytes, announced: bytes) -> bytes:
    return struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(packed)) + packed + announced
