"""The listening port changes while the speaker runs."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from speaker.bgp import SessionEventKind
from speaker.errors import HostError
from speaker.model.peer import Password, PeerRange, SessionState
from speaker.model.prefix import Address
from tests.bgp.builders import PORT, Speaker, loopback, loopback_block, peer, prefix, routes, until
from tests.bgp.raw_peer import Closed, RawPeer

Speak = Callable[..., Speaker]
Raw = Callable[..., RawPeer]
OTHER_PORT = PORT + 1


def is_open(address: Address, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex((str(address), port)) == 0


async def join(router: RawPeer, ours: Address, port: int) -> None:
    """The router connects until it is let in."""
    while True:
        await router.connect(ours, port)
        try:
            await router.establish()
        except Closed:
            continue
        return


@pytest.mark.parametrize("started", [True, False])
async def test_the_old_port_closes_and_the_new_one_opens(speak: Speak, started: bool) -> None:
    ours = loopback()
    speaker = speak(started=started, listen_port=PORT, listen_addresses=(ours,))

    speaker.peers.listen(OTHER_PORT, (ours,))
    speaker.peers.start()

    assert [False, True] == [is_open(ours, PORT), is_open(ours, OTHER_PORT)]


async def test_the_same_port_on_another_address(speak: Speak) -> None:
    ours, other = loopback(), loopback()
    speaker = speak(listen_port=PORT, listen_addresses=(ours,))

    speaker.peers.listen(PORT, (ours, other))
    assert [True, True] == [is_open(ours, PORT), is_open(other, PORT)]
    speaker.peers.listen(PORT, (other,))

    assert [False, True] == [is_open(ours, PORT), is_open(other, PORT)]


async def test_a_speaker_that_dials_only_begins_to_listen_and_ends_it(speak: Speak) -> None:
    ours = loopback()
    speaker = speak()

    speaker.peers.listen(PORT, (ours,))
    assert is_open(ours, PORT)
    speaker.peers.listen(None)

    assert not is_open(ours, PORT)


async def test_sessions_stay_and_new_ones_come_in_where_it_listens_now(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    early, late = (peer(name=name, address=loopback(), passive=True) for name in ("early", "late"))
    first, second = raw(early), raw(late)
    speaker = speak(early, late, listen_port=PORT, listen_addresses=(ours,))
    await first.connect(ours, PORT)
    await first.establish()
    await speaker.until_state(SessionState.ESTABLISHED, "early")

    for port in (OTHER_PORT, PORT, OTHER_PORT):
        speaker.peers.listen(port, (ours,))
    await join(second, ours, OTHER_PORT)

    await speaker.until_state(SessionState.ESTABLISHED, "late")
    speaker.peers.update("early", routes("10.0.0.0/24"))
    await until(lambda: speaker.peers.advertised("early"))
    assert not speaker.kinds(SessionEventKind.CLOSED)


@pytest.mark.parametrize("port", [PORT, OTHER_PORT])
async def test_the_old_port_stays_when_the_new_one_cannot_be_had(speak: Speak, raw: Raw, port: int) -> None:
    ours, taken = loopback(), loopback()
    configured = peer(address=loopback(), passive=True)
    speaker = speak(configured, listen_port=PORT, listen_addresses=(ours,))
    with (
        socket.create_server((str(taken), port)),
        pytest.raises(HostError, match=f"cannot listen on {taken} port {port}: address already in use"),
    ):
        speaker.peers.listen(port, (ours, taken))

    await join(raw(configured), ours, PORT)

    await speaker.until_state(SessionState.ESTABLISHED)


async def test_strangers_are_counted_over_all_ports(speak: Speak, raw: Raw) -> None:
    ours = loopback()
    speaker = speak(listen_port=PORT, listen_addresses=(ours,))
    stranger = raw(peer(address=loopback()))
    for port in (PORT, OTHER_PORT):
        speaker.peers.listen(port, (ours,))
        await stranger.connect(ours, port)
        with pytest.raises(Closed):
            await stranger.receive()

    assert speaker.peers.refused_connections == 2


class Signed(socket.socket):
    """A socket that remembers for whom a key was set, on any kernel."""

    keys: list[Any]

    def setsockopt(self, level: int, name: int, value: Any, *rest: Any) -> None:
        if level == socket.IPPROTO_TCP and name in (14, 32):
            self.keys.append(value)
        else:
            super().setsockopt(level, name, value, *rest)


async def test_the_keys_of_peers_and_ranges_are_on_the_new_socket(speak: Speak) -> None:
    ours, block = loopback(), loopback_block()
    opened: list[Signed] = []

    def open_socket(family: socket.AddressFamily) -> socket.socket:
        opened.append(Signed(family, socket.SOCK_STREAM))
        opened[-1].keys = []
        return opened[-1]

    secret = Password("s3cret")
    signed = peer(address=loopback(), passive=True, password=secret)
    speaker = speak(signed, open_socket=open_socket, listen_port=PORT, listen_addresses=(ours,))
    speaker.peers.set_ranges([PeerRange(prefix=block, limit=3, template=signed)])

    speaker.peers.listen(OTHER_PORT, (ours,))

    found = [key for key in opened[-1].keys if secret.reveal().encode() in key]
    addresses = [signed.address.packed, prefix(str(block)).network_address.packed]
    assert addresses == [key[4:8] for key in found]


async def test_the_same_again_changes_nothing(speak: Speak) -> None:
    ours = loopback()
    opened: list[int] = []

    def open_socket(family: socket.AddressFamily) -> socket.socket:
        opened.append(family)
        return socket.socket(family, socket.SOCK_STREAM)

    speaker = speak(open_socket=open_socket, listen_port=PORT, listen_addresses=(ours,))

    speaker.peers.listen(PORT, (ours,))

    assert len(opened) == 1
    assert is_open(ours, PORT)
