"""From which address this host would speak to a peer: the kernel's choice, and what the settings want.

Knows that a connected UDP socket tells the kernel's choice without sending anything. The order in which
sources count is that of the running speaker.
"""

import socket
from collections.abc import Sequence
from contextlib import closing

from speaker.model.peer import Peer
from speaker.model.prefix import Address, family_of
from speaker.preflight.dialing import OpenSocket, bind_to_interface
from speaker.preflight.findings import Check, Findings
from speaker.sockets import address_of, describe, socket_address, socket_family


def choose_source(
    findings: Findings, peer: Peer, allowed: Sequence[Address], open_socket: OpenSocket
) -> Address | None:
    """The address that connections to the peer come from; None when there is none, which is a finding.

    Args:
        findings: where the finding goes.
        peer: its `source` counts first.
        allowed: the allowed sources of both families; none of a family leaves it unrestricted.
        open_socket: makes sockets.
    """
    try:
        kernel = _kernel_source(peer, open_socket)
    except OSError as error:
        where = f" over {peer.interface}" if peer.interface else ""
        findings.failed(
            Check.SOURCE,
            f"no route to {peer.address}{where}: {describe(error)}",
            "give this node a route to the peer, or correct the peer's address"
            + (" and interface" if where else ""),
        )
        return None
    listed = [address for address in allowed if family_of(address) is family_of(peer.address)]
    wanted = [peer.source] if peer.source is not None else [each for each in (kernel,) if each in listed]
    candidates = [*wanted, *listed] if wanted or listed else [kernel]
    chosen = next((each for each in candidates if _is_here(each, peer, open_socket)), None)
    if chosen is None:
        names = ", ".join(map(str, dict.fromkeys(candidates)))
        findings.failed(
            Check.SOURCE,
            f"this host does not have {names}; the kernel would speak from {kernel}",
            "correct the local or allowed source addresses, or give one of them to this host",
        )
        return None
    why = (
        "configured"
        if chosen == peer.source
        else "allowed, the kernel's choice"
        if listed and chosen == kernel
        else f"allowed; the kernel would take {kernel}"
        if listed
        else "the kernel's choice"
    )
    findings.passed(Check.SOURCE, f"{chosen} ({why})")
    return chosen


def _kernel_source(peer: Peer, open_socket: OpenSocket) -> Address:
    """The address that the kernel prefers toward the peer; raises OSError when there is no way."""
    with closing(open_socket(socket_family(peer.address), socket.SOCK_DGRAM, 0)) as sock:
        bind_to_interface(sock, peer)
        sock.connect(socket_address(peer.address, peer.port))
        return address_of(sock.getsockname())


def _is_here(address: Address, peer: Peer, open_socket: OpenSocket) -> bool:
    """Whether this host has the address."""
    with closing(open_socket(socket_family(peer.address), socket.SOCK_DGRAM, 0)) as sock:
        try:
            sock.bind(socket_address(address, 0))
        except OSError:
            return False
        return True
