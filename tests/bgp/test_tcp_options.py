"""TCP MD5 (RFC 2385), TTLs (RFC 5082) and addresses, over loopback."""

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address, ip_address

import pytest

from speaker.bgp.sockopts import prepare, set_md5
from speaker.model.peer import Password, Peer, SessionState
from speaker.sockets import address_of, socket_address
from tests.bgp.builders import PORT, Speaker, loopback, peer, until
from tests.bgp.test_sessions import mirrored

Speak = Callable[..., Speaker]


def pair(**overrides: object) -> tuple[Peer, Peer]:
    """The dialling side's peer and the passive side's."""
    dialling = peer(address=loopback(), source=loopback(), **overrides)
    return dialling, replace(mirrored(dialling), passive=True)


def listening(configured: Peer, port: int = PORT) -> dict[str, object]:
    return {"listen_port": port, "listen_addresses": (configured.source,)}


@pytest.mark.md5
async def test_the_same_password_on_both_sides_makes_a_session(speak: Speak) -> None:
    dialling, passive = pair(password=Password("s3cret"))
    speak(passive, **listening(passive))
    speaker = speak(dialling)

    await speaker.until_state(SessionState.ESTABLISHED)


@pytest.mark.md5
@pytest.mark.parametrize("other", [Password("wrong"), None])
async def test_another_password_is_silence_and_says_so(speak: Speak, other: Password | None) -> None:
    dialling, passive = pair(password=Password("s3cret"))
    speak(replace(passive, password=other), **listening(passive))
    speaker = speak(dialling)

    reason = await speaker.until_error("no answer")

    assert "the password differs" in reason
    assert "s3cret" not in reason


@pytest.mark.md5
async def test_a_password_set_while_running_counts_for_the_next_connection(speak: Speak) -> None:
    dialling, passive = pair(password=Password("new"))
    listener = speak(replace(passive, password=Password("old")), **listening(passive))
    speaker = speak(dialling)
    await speaker.until_error("no answer")

    listener.peers.set_peers([replace(passive, password=Password("new"))])

    await speaker.until_state(SessionState.ESTABLISHED)


@pytest.mark.md5
@pytest.mark.parametrize("password", [None, Password("s3cret")])
async def test_a_session_over_ipv6(speak: Speak, password: Password | None) -> None:
    """Both ends are ::1: IPv6 has no other loopback address; so one side dials and one listens."""
    home = IPv6Address("::1")
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = int(probe.getsockname()[1])
    dialling = peer(address=home, source=home, port=port, password=password)
    passive = replace(mirrored(dialling), passive=True)
    speak(passive, listen_port=port, listen_addresses=(home,))
    speaker = speak(dialling)

    await speaker.until_state(SessionState.ESTABLISHED)
    facts = speaker.peers.sessions()["tor"].facts
    assert facts is not None
    assert facts.local_address == home


async def test_ttl_security_lets_near_peers_in(speak: Speak) -> None:
    dialling, passive = pair(ttl_security_hops=1)
    speak(passive, **listening(passive))
    speaker = speak(dialling)

    await speaker.until_state(SessionState.ESTABLISHED)


async def test_ttl_security_keeps_far_peers_out(speak: Speak) -> None:
    """The other side sends with TTL 1, as if it came from 254 hops away."""
    dialling, passive = pair()
    listener = speak(replace(passive, ttl_security_hops=1), **listening(passive))
    speaker = speak(dialling)
    await until(lambda: speaker.state() is not SessionState.IDLE)

    await listener.until_state(SessionState.OPEN_SENT)
    assert speaker.state() is not SessionState.ESTABLISHED


@pytest.mark.parametrize(
    ("overrides", "ttl"),
    [
        pytest.param({}, 1, id="eBGP reaches the link"),
        pytest.param({"multihop_ttl": 5}, 5, id="eBGP multihop"),
        pytest.param({"asn": 65000}, 64, id="iBGP"),
        pytest.param({"ttl_security_hops": 2}, 255, id="TTL security"),
    ],
)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_ttl_of_what_we_send(
    family: socket.AddressFamily, overrides: dict[str, object], ttl: int
) -> None:
    with socket.socket(family) as sock:
        prepare(sock, peer(**overrides))

        if family == socket.AF_INET:
            assert ttl == sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        else:
            assert ttl == sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)


def test_a_key_can_be_taken_away_twice() -> None:
    with socket.socket() as sock:
        set_md5(sock, ip_address("127.0.0.1"), None)
        set_md5(sock, ip_address("127.0.0.1"), None)


def test_link_local_addresses_carry_their_interface() -> None:
    index = socket.if_nametoindex("lo")

    assert socket_address(IPv6Address("fe80::1%lo"), 179) == ("fe80::1", 179, 0, index)
    assert address_of(("fe80::1", 179, 0, index)) == IPv6Address("fe80::1%lo")


def test_mapped_addresses_are_ipv4() -> None:
    assert address_of(("::ffff:192.0.2.1", 179, 0, 0)) == ip_address("192.0.2.1")
