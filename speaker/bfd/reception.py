"""The receiving sockets: one for each family and port that a session needs, shared by all of them.

Knows what can be had and what cannot. Must not know sessions.
"""

import socket
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address

from speaker.bfd.path import Hops, OpenSocket, Path, port_of, receiving_socket
from speaker.bfd.receiver import Deliver, Receiver
from speaker.model.prefix import Address
from speaker.sockets import describe, socket_family

_ANY: Mapping[socket.AddressFamily, Address] = {
    socket.AF_INET: IPv4Address(0),
    socket.AF_INET6: IPv6Address(0),
}

_IS_MULTIHOP: Mapping[Hops, tuple[bool, ...]] = {
    Hops.ONE: (False,),
    Hops.MANY: (True,),
    Hops.EITHER: (False, True),
}

_Place = tuple[Address, bool]
"""Where to receive: an address, and whether it is the multihop port."""


class Reception:
    """All receivers.

    Args:
        listen_addresses: where to receive; none of a family means every address of it.
        open_socket: makes a UDP socket of a family.
        single_hop: takes what comes to port 3784.
        multihop: takes what comes to port 4784.
    """

    def __init__(
        self,
        listen_addresses: tuple[Address, ...],
        open_socket: OpenSocket,
        *,
        single_hop: Deliver,
        multihop: Deliver,
    ) -> None:
        self._listen_addresses = listen_addresses
        self._open_socket = open_socket
        self._deliver = {False: single_hop, True: multihop}
        self._receivers: dict[_Place, Receiver] = {}
        self._failures: dict[_Place, str] = {}
        self._dropped_before = 0

    def open(self, paths: Iterable[Path]) -> None:
        """Receives where these paths need it, and nowhere else; `problem` tells what cannot be had."""
        needed = self._places(paths)
        for place in [place for place in self._receivers if place not in needed]:
            self._close(place)
        self._failures.clear()
        for place in needed:
            if place not in self._receivers:
                self._open(place)

    def _places(self, paths: Iterable[Path]) -> list[_Place]:
        found: dict[_Place, None] = {}
        for path in paths:
            mine = [each for each in self._listen_addresses if socket_family(each) == path.family]
            for address in mine or [_ANY[path.family]]:
                found.update(dict.fromkeys((address, multihop) for multihop in _IS_MULTIHOP[path.hops]))
        return list(found)

    def _open(self, place: _Place) -> None:
        address, multihop = place
        port = port_of(multihop=multihop)
        try:
            sock = receiving_socket(address, port, self._open_socket)
        except OSError as error:
            self._failures[place] = f"cannot receive BFD on {address} port {port}: {describe(error)}"
        else:
            self._receivers[place] = Receiver(sock, self._deliver[multihop])

    def _close(self, place: _Place) -> None:
        receiver = self._receivers.pop(place)
        self._dropped_before += receiver.dropped
        receiver.close()

    def admit(self, sources: Collection[Address]) -> None:
        """Has the kernel drop what comes from elsewhere."""
        for (address, _), receiver in self._receivers.items():
            receiver.admit([each for each in sources if each.version == address.version])

    def close(self) -> None:
        """Receives nothing any more."""
        self.open(())

    def is_behind(self) -> bool:
        """Whether packets may wait that have not been read."""
        return any(receiver.is_behind for receiver in self._receivers.values())

    @property
    def problem(self) -> str:
        """What cannot be had, one sentence, or ""."""
        return "; ".join(sorted(self._failures.values()))

    @property
    def dropped(self) -> int:
        """How many packets the kernel has dropped, since the beginning."""
        return self._dropped_before + sum(receiver.dropped for receiver in self._receivers.values())
