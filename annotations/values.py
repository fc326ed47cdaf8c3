"""The grammar of annotation values.

Each `read_…` takes the text of an annotation and gives its meaning, or None when it has none; the
matching `…_EXPECTED` says what would be right. Nothing here raises.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

LargeCommunity = tuple[int, int, int]

LIST_LIMIT = 64
NAME_LIMIT = 253
PREPEND_LIMIT = 10
UINT32_MAX = 0xFFFFFFFF


class PublishPolicy(StrEnum):
    """What `<prefix>/bgp` asks for."""

    CLUSTER = "cluster"
    LOCAL = "local"
    OFF = "off"


class AddressType(StrEnum):
    """Which addresses of a Service `<prefix>/bgp-addresses` names."""

    CLUSTER = "cluster"
    LOADBALANCER = "loadbalancer"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Communities:
    """Communities, each kind ascending, none twice.

    Attributes:
        standard: those of RFC 1997 as 32-bit integers.
        large: those of RFC 8092.
        extended: those of RFC 4360 as 64-bit integers.
    """

    standard: tuple[int, ...] = ()
    large: tuple[LargeCommunity, ...] = ()
    extended: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.standard or self.large or self.extended)

    def only(self, permitted: "Communities") -> "Communities":
        """Those of them that are permitted too."""
        return Communities(
            tuple(each for each in self.standard if each in permitted.standard),
            tuple(each for each in self.large if each in permitted.large),
            tuple(each for each in self.extended if each in permitted.extended),
        )

    def without(self, known: "Communities") -> tuple[str, ...]:
        """Those of them that are not among the known, as people write them."""
        return (
            *(f"{each >> 16}:{each & 0xFFFF}" for each in self.standard if each not in known.standard),
            *(":".join(map(str, each)) for each in self.large if each not in known.large),
            *(extended_community_text(each) for each in self.extended if each not in known.extended),
        )


WELL_KNOWN_COMMUNITIES = {
    "graceful-shutdown": 0xFFFF0000,  # RFC 8326
    "accept-own": 0xFFFF0001,  # RFC 7611
    "llgr-stale": 0xFFFF0006,  # RFC 9494
    "no-llgr": 0xFFFF0007,  # RFC 9494
    "blackhole": 0xFFFF029A,  # RFC 7999
    "no-export": 0xFFFFFF01,  # RFC 1997
    "no-advertise": 0xFFFFFF02,  # RFC 1997
    "no-export-subconfed": 0xFFFFFF03,  # RFC 1997
    "nopeer": 0xFFFFFF04,  # RFC 3765
}

# The sub-types of RFC 4360 §4 and §5: route target, and route origin or site of origin.
_EXTENDED_KINDS = {"rt": 2, "soo": 3, "ext": -1}
_HEXADECIMAL = frozenset("0123456789abcdef")

_POLICIES = {
    "true": PublishPolicy.CLUSTER,
    "yes": PublishPolicy.CLUSTER,
    "cluster": PublishPolicy.CLUSTER,
    "local": PublishPolicy.LOCAL,
    "false": PublishPolicy.OFF,
    "no": PublishPolicy.OFF,
}

_ADDRESS_TYPES = {str(each): each for each in AddressType}

POLICY_EXPECTED = "write true, yes or cluster, or local, or false or no"
COMMUNITIES_EXPECTED = (
    f"write at most {LIST_LIMIT} of 65000:100, 65000:1:2, rt:65000:100, soo:192.0.2.1:100 or a well-known"
    " name such as no-export, by comma"
)
UINT32_EXPECTED = f"write a whole number from 0 to {UINT32_MAX}"
PREPEND_EXPECTED = f"write a whole number from 0 to {PREPEND_LIMIT}"
PEERS_EXPECTED = f"write at most {LIST_LIMIT} names or addresses of peers, by comma"
ADDRESSES_EXPECTED = "write one or more of cluster, loadbalancer and external, by comma"
IP_LIST_EXPECTED = "write IP addresses, by comma"


def read_policy(text: str) -> PublishPolicy | None:
    """`true`, `yes`, `cluster`, `local`, `false` or `no`, in any case."""
    return _POLICIES.get(text.strip().lower())


def read_communities(text: str) -> Communities | None:
    """A comma list of communities; one that cannot be read spoils the list."""
    words = _words(text)
    if words is None:
        return None
    standard: set[int] = set()
    large: set[LargeCommunity] = set()
    extended: set[int] = set()
    for word in words:
        kind, _, rest = word.lower().partition(":")
        if kind in _EXTENDED_KINDS:
            value = _extended_community(kind, rest)
            if value is None:
                return None
            extended.add(value)
            continue
        community = _community(word)
        if community is None:
            return None
        if isinstance(community, int):
            standard.add(community)
        else:
            large.add(community)
    return Communities(tuple(sorted(standard)), tuple(sorted(large)), tuple(sorted(extended)))


def read_uint32(text: str) -> int | None:
    """A decimal number from 0 to 4294967295."""
    return _number(text.strip(), UINT32_MAX)


def read_prepend(text: str) -> int | None:
    """A decimal number from 0 to 10."""
    return _number(text.strip(), PREPEND_LIMIT)


def read_peers(text: str) -> tuple[str, ...] | None:
    """A comma list of names or addresses; addresses in their canonical form, none twice."""
    words = _words(text)
    if words is None or any(len(word) > NAME_LIMIT or not word.isprintable() for word in words):
        return None
    return tuple(dict.fromkeys(_canonical(word) for word in words))


def read_addresses(text: str) -> frozenset[AddressType] | None:
    """A comma list of address types, in any case."""
    words = _words(text.lower())
    if words is None or any(word not in _ADDRESS_TYPES for word in words):
        return None
    return frozenset(_ADDRESS_TYPES[word] for word in words)


def read_ip_list(text: str) -> tuple[IPv4Address | IPv6Address, ...] | None:
    """A comma list of IP addresses, none twice."""
    words = _words(text)
    if words is None:
        return None
    addresses = [_ip(word) for word in words]
    kept = [address for address in addresses if address is not None]
    return tuple(dict.fromkeys(kept)) if len(kept) == len(addresses) else None


def read_ip(text: str) -> IPv4Address | IPv6Address | None:
    """One IP address, without white space; equal texts that come close together give the same object."""
    return _ip(text)


def _words(text: str) -> list[str] | None:
    """The parts between commas, without white space; None for none at all or too many."""
    if text.count(",") > LIST_LIMIT * 2:
        return None
    words = [word for part in text.split(",") if (word := part.strip())]
    return words if 0 < len(words) <= LIST_LIMIT else None


def _number(text: str, most: int) -> int | None:
    # isdecimal alone also takes the digits of other scripts.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(UINT32_MAX))):
        return None
    number = int(text)
    return number if number <= most else None


def _community(word: str) -> int | LargeCommunity | None:
    named = WELL_KNOWN_COMMUNITIES.get(word.lower())
    if named is not None:
        return named
    parts = word.split(":")
    if len(parts) == 2:
        high, low = (_number(part, 0xFFFF) for part in parts)
        return None if high is None or low is None else high << 16 | low
    if len(parts) == 3:
        first, second, third = (_number(part, UINT32_MAX) for part in parts)
        return None if first is None or second is None or third is None else (first, second, third)
    return None


def _extended_community(kind: str, rest: str) -> int | None:
    """The eight octets of `rt:` and `soo:` (RFC 4360 §4, §5, RFC 5668), or of `ext:0x` and 16 digits."""
    if kind == "ext":
        digits = rest.removeprefix("0x")
        is_right = rest.startswith("0x") and len(digits) == 16 and set(digits) <= _HEXADECIMAL
        return int(digits, 16) if is_right else None
    administrator, _, number = rest.rpartition(":")
    address = _ip(administrator)
    if isinstance(address, IPv4Address):
        form, high, low, bits = 1, int(address), _number(number, 0xFFFF), 16
    else:
        asn = _number(administrator, UINT32_MAX)
        if asn is None:
            return None
        # An AS number of two octets leaves four to the number (RFC 4360 §3.1), of four two (RFC 5668 §2).
        form, bits = (0, 32) if asn <= 0xFFFF else (2, 16)
        high, low = asn, _number(number, (1 << bits) - 1)
    if low is None:
        return None
    return form << 56 | _EXTENDED_KINDS[kind] << 48 | high << bits | low


def extended_community_text(value: int) -> str:
    """An extended community as it is written in annotations."""
    form, subtype = value >> 56, value >> 48 & 0xFF
    kind = next((name for name, code in _EXTENDED_KINDS.items() if code == subtype and name != "ext"), None)
    if kind is None or form not in (0, 1, 2):
        return f"ext:0x{value:016x}"
    if form == 0:
        return f"{kind}:{value >> 32 & 0xFFFF}:{value & UINT32_MAX}"
    high = value >> 16 & UINT32_MAX
    return f"{kind}:{IPv4Address(high) if form == 1 else high}:{value & 0xFFFF}"


# A Pod tells one address three times, and is read twice.
@lru_cache(maxsize=4096)
def _ip(word: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(word)
    except ValueError:
        return None


def _canonical(word: str) -> str:
    address = _ip(word)
    return word if address is None else str(address)
