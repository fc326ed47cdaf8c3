"""The routes of addresses that are advertised without a cluster, as each peer should hear them.

Pure: from the addresses and a session to routes. The next hops are those of `speaker.routing.nexthop`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from speaker.model.peer import Peer, SessionFacts, SessionStatus
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address, Family, Prefix, family_of
from speaker.model.route import PathAttributes, Route
from speaker.routing.nexthop import next_hop


@dataclass(frozen=True, slots=True)
class Offer:
    """What is advertised while the checks pass.

    Attributes:
        prefixes: what to advertise.
        attributes: what travels with it.
        local_ip: `localIP`, the next hop where a session has none of the family.
    """

    prefixes: tuple[Prefix, ...]
    attributes: PathAttributes
    local_ip: Address

    def routes(self, peer: Peer, facts: SessionFacts) -> dict[Prefix, Route | None]:
        """What the established session with the peer should carry; None for what it cannot."""
        attributes = self.attributes
        if not peer.is_ibgp:
            # RFC 4271 §5.1.5: LOCAL_PREF must not be sent to external peers.
            attributes = replace(attributes, local_preference=None)
        hops = {family: self._next_hop(family, peer, facts) for family in Family}
        return {prefix: _route(prefix, hops[family_of(prefix)], attributes) for prefix in self.prefixes}

    def withdrawal(self) -> dict[Prefix, Route | None]:
        """Nothing of it."""
        return dict.fromkeys(self.prefixes)

    def unheard(self, sessions: Iterable[SessionStatus]) -> Sequence[tuple[Prefix, str]]:
        """What no session can carry, and why; one that is not established may yet carry what it offers."""
        known = tuple(sessions)
        found = []
        for prefix in self.prefixes:
            family = family_of(prefix)
            offering = [each for each in known if family in _families(each)]
            if not offering:
                found.append((prefix, f"no session carries {family} (families, extendedNextHop)"))
            elif not any(self._reaches(family, each) for each in offering):
                found.append((prefix, f"no session has an {family} address to be its next hop"))
        return tuple(found)

    def _reaches(self, family: Family, status: SessionStatus) -> bool:
        return status.facts is None or self._next_hop(family, status.peer, status.facts) is not None

    def _next_hop(self, family: Family, peer: Peer, facts: SessionFacts) -> Address | None:
        if family not in facts.families:
            return None
        return next_hop(family, HostView(node_ips=(self.local_ip,)), PeerView(peer=peer, facts=facts), ())


def _families(status: SessionStatus) -> frozenset[Family]:
    return status.peer.families if status.facts is None else status.facts.families


def _route(prefix: Prefix, hop: Address | None, attributes: PathAttributes) -> Route | None:
    return None if hop is None else Route(prefix, hop, attributes)


def advertised(routes: Mapping[Prefix, Route | None]) -> int:
    """How many of the routes are to be heard."""
    return sum(route is not None for route in routes.values())
