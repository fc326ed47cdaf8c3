"""Chooses the source address of each session where `--allowed-source-addresses` restricts it.

The chosen address is the session's local address and the next hop. Knows flags and kernel facts;
must not know sessions. A peer for which this host has no allowed address gets no session at all:
packets from another address are what the list is there to prevent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from speaker.kernel import HostFacts
from speaker.model.peer import Peer, SessionState, SessionStatus
from speaker.model.prefix import Address, family_of


@dataclass(frozen=True, slots=True)
class Pinned:
    """The peers with their source addresses.

    Attributes:
        peers: all peers, in their order; restricted ones with `source`, if there is one for them.
        refused: by name, why a peer can have no session.
    """

    peers: tuple[Peer, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> tuple[Peer, ...]:
        """The peers that may have a session."""
        return tuple(peer for peer in self.peers if peer.name not in self.refused)

    @property
    def idle(self) -> Mapping[str, SessionStatus]:
        """The sessions that cannot be, as they are shown beside the others."""
        return {
            peer.name: SessionStatus(peer=peer, state=SessionState.IDLE, last_error=self.refused[peer.name])
            for peer in self.peers
            if peer.name in self.refused
        }


def pin_sources(peers: Sequence[Peer], allowed: Sequence[Address], facts: HostFacts | None) -> Pinned:
    """Choose for each peer whose family the list names; the others are left to the kernel.

    A source that is in use stays while it is on this host, so that a session is not reset for a
    change of routes that concerns it not. Else the kernel's own choice counts if it is allowed,
    else the first allowed address that this host has.

    Args:
        peers: as configured, or as chosen before.
        allowed: the allowed sources of both families; none of a family leaves it unrestricted.
        facts: what the kernel said; None when it has not answered yet.
    """
    chosen: list[Peer] = []
    refused: dict[str, str] = {}
    for peer in peers:
        family = family_of(peer.address)
        listed = [address for address in allowed if family_of(address) is family]
        if not listed:
            chosen.append(peer)
            continue
        source = _source(peer, listed, facts)
        chosen.append(replace(peer, source=source))
        if source is None:
            refused[peer.name] = _sentence(listed, facts)
    return Pinned(tuple(chosen), refused)


def _source(peer: Peer, listed: Sequence[Address], facts: HostFacts | None) -> Address | None:
    if facts is None:
        return peer.source
    # The whole of 127.0.0.0/8 is this host, whatever addresses are configured.
    here = [address for address in listed if address in facts.addresses or address.is_loopback]
    for candidate in (peer.source, facts.sources.get(peer.name)):
        if candidate in here:
            return candidate
    return here[0] if here else None


def _sentence(listed: Sequence[Address], facts: HostFacts | None) -> str:
    if facts is None:
        return "the addresses of this host are not known yet"
    return f"this host has none of the allowed source addresses ({', '.join(map(str, listed))})"
