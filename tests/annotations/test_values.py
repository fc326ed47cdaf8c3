"""The grammar of single values."""

import pytest

from annotations import values
from annotations.problems import bounded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("65000:100", ((65000 << 16 | 100,), ()), id="RFC 1997"),
        pytest.param("4200000000:1:2", ((), ((4200000000, 1, 2),)), id="RFC 8092"),
        pytest.param("NO-EXPORT", ((0xFFFFFF01,), ()), id="a well-known name in any case"),
        pytest.param("graceful-shutdown", ((0xFFFF0000,), ()), id="RFC 8326"),
        pytest.param("65000:2,65000:1,65000:2", ((65000 << 16 | 1, 65000 << 16 | 2), ()), id="sorted, once"),
    ],
)
def test_communities(text: str, expected: object) -> None:
    found = values.read_communities(text)

    assert found is not None
    assert (found.standard, found.large) == expected


@pytest.mark.parametrize(
    "text", ["", "65000", "65000:", ":1", "1:2:3:4", "65000:70000", "65000:-1", "1:2:4294967296", "0x1:2"]
)
def test_no_communities(text: str) -> None:
    assert values.read_communities(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("rt:65000:100", 0x0002_FDE8_0000_0064, id="route target, RFC 4360 §3.1"),
        pytest.param("rt:192.0.2.1:100", 0x0102_C000_0201_0064, id="of an address, RFC 4360 §3.2"),
        pytest.param("rt:4200000001:100", 0x0202_FA56_EA01_0064, id="of four octets, RFC 5668"),
        pytest.param("soo:65000:4294967295", 0x0003_FDE8_FFFF_FFFF, id="site of origin"),
        pytest.param("ext:0x4304000000000001", 0x4304_0000_0000_0001, id="any other"),
    ],
)
def test_extended_communities_are_written_as_they_are_read(text: str, value: int) -> None:
    found = values.read_communities(text)

    assert found == values.Communities(extended=(value,))
    assert values.extended_community_text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "rt:65000",
        "rt:1:2:3",
        "rt:65536:65536",
        "rt:192.0.2.1:65536",
        "soo:x:1",
        "ext:1",
        "ext:0x12",
        "rt:fe80::1:1",
    ],
)
def test_no_extended_communities(text: str) -> None:
    assert values.read_communities(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), (" 10 ", 10), ("11", None), ("1.5", None), ("", None)]
)
def test_prepend(text: str, expected: int | None) -> None:
    assert values.read_prepend(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("4294967295", 4294967295), ("4294967296", None)])
def test_uint32(text: str, expected: int | None) -> None:
    assert values.read_uint32(text) == expected


def test_a_huge_number_is_refused_before_it_is_converted() -> None:
    assert values.read_uint32("9" * 100_000) is None


def test_peer_names_are_bounded() -> None:
    assert values.read_peers("x" * 254) is None


def test_addresses_in_any_case() -> None:
    assert values.read_addresses("Cluster, EXTERNAL") == frozenset(
        {
            values.AddressType.CLUSTER,
            values.AddressType.EXTERNAL,
        }
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("short", "short", id="as it is"),
        pytest.param("x" * 64, "x" * 64, id="exactly the limit"),
        pytest.param("x" * 65, "x" * 63 + "…", id="longer"),
        pytest.param("a\x1b\x00b\u202ec", "abc", id="control and direction characters"),
    ],
)
def test_bounded(text: str, expected: str) -> None:
    assert bounded(text) == expected
