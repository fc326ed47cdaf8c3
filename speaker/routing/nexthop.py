"""The next hop of our routes, per peer and per family (RFC 4271 §5.1.3, RFC 4760 §3, RFC 8950).

In order, the first that is of the family:

1. an allowed source (`--allowed-source-addresses`): when addresses of a family are listed, no other
   address of that family is ever a next hop;
2. the kernel's preferred source toward the peer, then the session's local address; where that is the
   speaker Pod's own address, the `--node-ips` of the family stand in its place, since a Pod's
   address ends with the Pod;
3. for IPv4 routes on an IPv6 session with RFC 8950, the IPv6 address found the same way;
4. `--node-ips` of the family, then the Node's InternalIP of the family.

Never the router ID, which is a number and no address, and never an IPv6 link-local address alone,
which a router beyond the link cannot resolve (RFC 2545 §3 asks for a global one).
"""

from collections.abc import Iterator

from speaker.model.peer import SessionFacts
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address, Family, family_of


def next_hop(
    family: Family, host: HostView, view: PeerView, internal_ips: tuple[Address, ...]
) -> Address | None:
    """The next hop of routes of `family` for the peer, or None when this host has none.

    Args:
        family: of the prefixes.
        host: this host's addresses and flags.
        view: the peer, its session if established, and the kernel's source toward it.
        internal_ips: the Node's addresses of type InternalIP.
    """
    for candidate in _candidates(family, host, view, internal_ips):
        address = _permitted(candidate, host)
        if address is not None:
            return address
    return None


def _candidates(
    family: Family, host: HostView, view: PeerView, internal_ips: tuple[Address, ...]
) -> Iterator[Address]:
    session = tuple(_session_addresses(view))
    yield from (address for address in session if family_of(address) is family)
    if family is Family.IPV4 and _extended(view):
        yield from (address for address in session if family_of(address) is Family.IPV6)
    yield from (address for address in reversed(host.node_ips) if family_of(address) is family)
    yield from (address for address in internal_ips if family_of(address) is family)


def _session_addresses(view: PeerView) -> Iterator[Address]:
    """Our own addresses toward the peer, the surest first; a pinned source is in use for certain."""
    if view.peer.source is not None:
        yield view.peer.source
    if view.preferred_source is not None:
        yield view.preferred_source
    if view.facts is not None:
        yield view.facts.local_address


def _extended(view: PeerView) -> bool:
    """Whether IPv4 routes may have an IPv6 next hop; before the OPENs met, what we would offer."""
    facts: SessionFacts | None = view.facts
    return view.peer.extended_next_hop if facts is None else facts.extended_next_hop


def _permitted(candidate: Address, host: HostView) -> Address | None:
    """The candidate as it may be sent, or None."""
    if candidate.is_unspecified or (candidate.version == 6 and candidate.is_link_local):
        return None
    family = family_of(candidate)
    allowed = [address for address in host.allowed_sources if family_of(address) is family]
    if allowed:
        return candidate if candidate in allowed else None
    if candidate in host.pod_ips:
        # As in Kube-OVN, the last of a family counts.
        stand_in = [address for address in host.node_ips if family_of(address) is family]
        return stand_in[-1] if stand_in else candidate
    return candidate
