"""Readers: how the texts given for a flag become its value.

Knows addresses, numbers, durations and choices; knows no flag by name and reads nothing from outside.
A parser takes one text and raises `ValueError` whose text says what would be right ("must be …"); a
`Reader` says how many texts a flag takes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Generic, TypeVar

from annotations import values
from speaker.model import prefix as prefixes
from speaker.texts import go_values

T = TypeVar("T")
Parser = Callable[[str], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader(Generic[T]):
    """Turns the texts given for one flag into its value.

    Attributes:
        kind: the word for people: "duration", "address list", …
        read: the value of the texts, in the order in which they were given; raises `ValueError`.
        boolean: the flag may stand alone and then means true.
        repeatable: several texts add up; otherwise the last one counts, as in `pflag`.
    """

    kind: str
    read: Callable[[Sequence[str]], T]
    boolean: bool = False
    repeatable: bool = False


def one(kind: str, parser: Parser[T]) -> Reader[T]:
    """A flag that always has a value: given, or by its default."""
    return Reader(kind=kind, read=lambda texts: parser(texts[-1]))


def optional(kind: str, parser: Parser[T]) -> Reader[T | None]:
    """A flag that may be unset; an empty text unsets it too, as an empty variable in a manifest does."""
    return Reader(kind=kind, read=lambda texts: parser(texts[-1]) if texts and texts[-1] else None)


def many(kind: str, parser: Parser[T]) -> Reader[tuple[T, ...]]:
    """A list, by commas, by repetition, or both."""

    def read(texts: Sequence[str]) -> tuple[T, ...]:
        return tuple(parser(element) for text in texts for element in go_values.elements(text))

    return Reader(kind=kind, read=read, repeatable=True)


SWITCH: Reader[bool] = Reader(kind="boolean", read=lambda texts: go_values.boolean(texts[-1]), boolean=True)
"""A boolean as Go takes it: `--flag`, `--flag=true` or `--flag=false`."""

IGNORED: Reader[object] = Reader(kind="text", read=tuple)
IGNORED_SWITCH: Reader[object] = Reader(kind="boolean", read=tuple, boolean=True)
"""For flags without effect: any text will do, so that no DaemonSet fails for them."""


def integer(low: int, high: int) -> Parser[int]:
    """A whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        try:
            value = go_values.unsigned(text)
        except ValueError:
            value = -1
        if not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return parse


def seconds(
    low: float, high: float, *, zero: bool = False, fractional: bool = False, bare: bool = False
) -> Parser[Fraction]:
    """A duration from `low` to `high` seconds.

    `zero` permits 0 too, `fractional` parts of a second, `bare` a number of seconds without its unit.
    """
    least, most = Fraction(str(low)), Fraction(str(high))
    must = "must be " + ("0 or " if zero else "")
    must += f"from {go_values.duration_text(least)} to {go_values.duration_text(most)}"

    def parse(text: str) -> Fraction:
        is_bare = bare and text.replace(".", "", 1).isdecimal()
        value = go_values.duration(f"{text}s" if is_bare else text)
        if not (least <= value <= most or (zero and value == 0)):
            raise ValueError(must)
        if value.denominator != 1 and not fractional:
            raise ValueError(f"{must}, in whole seconds")
        return value

    return parse


def choice(*permitted: str) -> Parser[str]:
    """One of a few words, in any case."""
    sentence = "must be " + (
        f"{', '.join(permitted[:-1])} or {permitted[-1]}" if permitted[1:] else permitted[0]
    )

    def parse(text: str) -> str:
        if text.lower() not in permitted:
            raise ValueError(sentence)
        return text.lower()

    return parse


def address(text: str) -> prefixes.Address:
    """An address of either family; an IPv4-mapped IPv6 address is its IPv4 address, as in Go."""
    try:
        value = ip_address(text)
    except ValueError:
        raise ValueError("must be IP addresses" if "," in text else "must be an IP address") from None
    if isinstance(value, IPv6Address) and value.ipv4_mapped:
        return value.ipv4_mapped
    return value


def unicast(family: prefixes.Family | None = None) -> Parser[prefixes.Address]:
    """An address that one host can have, of `family` if that is given."""

    def parse(text: str) -> prefixes.Address:
        value = address(text)
        if family is not None and prefixes.family_of(value) is not family:
            raise ValueError(f"must be {'IPv4' if family is prefixes.Family.IPV4 else 'IPv6'} only")
        if value.is_multicast or value.is_unspecified:
            raise ValueError("must be an address of one host")
        if isinstance(value, IPv6Address) and value.is_link_local and not value.scope_id:
            raise ValueError(f"must carry its interface, such as {value}%eth0")
        return value

    return parse


def interface(text: str) -> str:
    """The name of a network interface, as Linux takes one (at most 15 octets)."""
    if not re.fullmatch(r"[^\s/%:]{1,15}", text) or text in {".", ".."} or len(text.encode()) > 15:
        raise ValueError("must be the name of a network interface such as eth0")
    return text


def router_id(text: str) -> IPv4Address:
    """A BGP Identifier in dotted form: any 32-bit value but zero (RFC 6286 §2.1)."""
    try:
        value = IPv4Address(text)
    except ValueError:
        value = IPv4Address(0)
    if value == IPv4Address(0):
        raise ValueError("must be written as an IPv4 address other than 0.0.0.0")
    return value


def prefix(text: str) -> prefixes.Prefix:
    """A prefix without host bits."""
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be a prefix such as 10.16.0.0/16 or fd00:10:16::/64") from None
    if "/" in text and ip_address(text.partition("/")[0]) != loose.network_address:
        raise ValueError(f"has bits set beyond its length; write {loose}")
    return loose


def community(text: str) -> str:
    """One standard, large, extended or well-known community (RFC 1997, 8092, 4360), as it was written."""
    if values.read_communities(text) is None:
        raise ValueError("must be communities such as 65000:100, 65000:1:2, rt:65000:100 or no-export")
    return text


_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_NAME = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)")


def dns_subdomain(text: str) -> str:
    """A DNS subdomain as Kubernetes takes one in keys and node names (RFC 1123); lower-cased."""
    lowered = text.lower()
    if len(lowered) > 253 or not _DNS_SUBDOMAIN.fullmatch(lowered):
        raise ValueError("must be a DNS name such as ovn.kubernetes.io")
    return lowered


def label(text: str) -> tuple[str, str]:
    """A label as `key=value`."""
    key, equals, value = text.partition("=")
    domain, slash, name = key.rpartition("/")
    key_is_right = _NAME.fullmatch(name) and (not slash or _DNS_SUBDOMAIN.fullmatch(domain))
    if not equals or not key_is_right or not (value == "" or _NAME.fullmatch(value)):
        raise ValueError("must be a label as key=value, such as ovn.kubernetes.io/bgp=true")
    return key, value
