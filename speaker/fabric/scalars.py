"""What single values in a resource mean: AS numbers, addresses with ports, times, communities, names.

Knows one value at a time as JSON decodes it, and no field by name. Every reader raises `ValueError` whose
text says what would be right.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from annotations import values
from annotations.values import Communities
from speaker.fabric import selector
from speaker.fabric.selector import LabelSelector
from speaker.model.prefix import Address, Family, Prefix, family_of
from speaker.texts import readers

C = TypeVar("C", bound=StrEnum)

LARGEST_ASN = 2**32 - 1

_PORT = re.compile(r"[0-9]{1,5}")
_ASDOT = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?")


def text(value: object) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 -- what is in a resource is wrong by its value
    return value


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 -- as above
    return value


def number(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`, both included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return read


def choice(kind: type[C]) -> Callable[[object], C]:
    """One of the words of an enumeration."""
    *most, last = (str(each) for each in kind)
    sentence = f"must be {', '.join(most)} or {last}" if most else f"must be {last}"

    def read(value: object) -> C:
        try:
            return kind(text(value))
        except ValueError:
            raise ValueError(sentence) from None

    return read


def as_number(value: object) -> int:
    """An AS number from 1 to 4294967295: a number, the same as a text, or asdot (RFC 5396) as a text."""
    found = -1
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (halves := _ASDOT.fullmatch(value)):
        high, low = int(halves[1]), int(halves[2])
        found = high << 16 | low if max(high, low) <= 0xFFFF else -1
    elif isinstance(value, str) and len(value) <= 10 and value.isascii() and value.isdecimal():
        found = int(value)
    if not 1 <= found <= LARGEST_ASN:
        raise ValueError(f"must be an AS number from 1 to {LARGEST_ASN}, or as a text such as '1.10'")
    return found


def seconds(low: float, high: float, *, zero: bool = False) -> Callable[[object], int]:
    """A time of whole seconds, written as Go writes it ("90s", "1m30s")."""
    parse = readers.seconds(low, high, zero=zero)
    return lambda value: int(parse(_time(value)))


def fractional_seconds(low: float, high: float) -> Callable[[object], float]:
    """A time that may have parts of a second."""
    parse = readers.seconds(low, high, fractional=True)
    return lambda value: float(parse(_time(value)))


def milliseconds(value: object) -> int:
    """A time from 10 ms to 60 s: a number of milliseconds, or a text with its unit."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(readers.seconds(0.01, 60, fractional=True)(f"{value}ms") * 1000)
    found = readers.seconds(0.01, 60, fractional=True)(_time(value)) * 1000
    if found.denominator != 1:
        raise ValueError("must be from 10ms to 60s, in whole milliseconds")
    return int(found)


def _time(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text with a unit, such as '90s' or '1m30s'")  # noqa: TRY004 -- as above
    return value


def peer_ip(value: object) -> tuple[Address, int | None]:
    """An address, perhaps with a port: `1.2.3.4`, `1.2.3.4:1790`, `2001:db8::1`, `[2001:db8::1]:1790`."""
    address, port = text(value), ""
    if address.startswith("["):
        address, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in address:
            raise ValueError("must be an address such as 192.0.2.1, 192.0.2.1:1790 or [2001:db8::1]:1790")
        port = rest[1:] if rest else ""
        has_port = bool(rest)
    else:
        has_port = address.count(":") == 1
        if has_port:
            address, _, port = address.partition(":")
    found = _host(address)
    if not has_port:
        return found, None
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ValueError("must have a port from 1 to 65535 after its last colon")
    return found, int(port)


def _host(address: str) -> Address:
    try:
        return readers.unicast()(address)
    except ValueError as error:
        sentence = str(error)
    if sentence == "must be an IP address":
        sentence = "must be an address such as 192.0.2.1, 192.0.2.1:1790 or [2001:db8::1]:1790"
    raise ValueError(sentence)


def prefix(value: object) -> Prefix:
    """A prefix without host bits, of either family."""
    found = text(value)
    if "/" not in found:
        raise ValueError("must be a prefix with its length, such as 10.16.0.0/16")
    return readers.prefix(found)


def prefix_of(family: Family) -> Callable[[object], Prefix]:
    """A prefix of one family."""

    def read(value: object) -> Prefix:
        found = prefix(value)
        if family_of(found) is not family:
            raise ValueError(f"must be {'IPv4' if family is Family.IPV4 else 'IPv6'} here")
        return found

    return read


def family(value: object) -> Family:
    """`IPv4` or `IPv6`."""
    found = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}.get(text(value))
    if found is None:
        raise ValueError("must be IPv4 or IPv6")
    return found


def community(value: object) -> Communities:
    """One community: standard, large, extended or well known."""
    found = None if "," in text(value) else values.read_communities(text(value))
    if found is None:
        raise ValueError("must be a community such as 65000:100, 65000:1:2 or no-export")
    return found


def plain_community(value: object) -> Communities:
    """One standard, large or well-known community."""
    found = community(value)
    if found.extended:
        raise ValueError("must be a standard or a large community, such as 65000:100 or 65000:1:2")
    return found


def label_selector(value: object) -> LabelSelector:
    """A selector in Calico's grammar."""
    return selector.parse(text(value))


def name(value: object) -> str:
    """The name of an object, as Kubernetes takes one."""
    found = text(value)
    try:
        is_right = readers.dns_subdomain(found) == found
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("must be the name of an object, such as rack-1")
    return found


def community_name(value: object) -> str:
    """A name for a community; none of the well-known ones and nothing that reads as a value."""
    found = text(value)
    if not _NAME.fullmatch(found) or values.read_communities(found) is not None:
        raise ValueError(
            "must be a name of letters, digits, dots, dashes and underscores, not a well-known one"
        )
    return found


def key(value: object) -> str:
    """The key of a value in a Secret."""
    found = text(value)
    if not re.fullmatch(r"[-._A-Za-z0-9]{1,253}", found):
        raise ValueError("must be a key of letters, digits, dots, dashes and underscores")
    return found


def widest_length(family_: Family) -> int:
    """The length of a host's prefix: 32 or 128."""
    return 32 if family_ is Family.IPV4 else 128
