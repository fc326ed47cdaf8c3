"""The sessions that one Node should have, from the Nodes and the resources.

Knows everything that speakers agree on; must not know what runs: going from one design to the next is
`speaker.fabric.transition`. Every speaker computes its own side, and both sides of a session fit since all
of them see the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cached_property
from hashlib import sha256

from annotations.problems import bounded
from speaker.fabric.membership import Link, Membership
from speaker.fabric.sessions import node_peer, router_id_of, router_peer
from speaker.fabric.warnings import warnings_of
from speaker.model.fabric import BgpConfiguration, BgpPeer, FabricNode, SecretKeyRef, Selector
from speaker.model.peer import Password, Peer
from speaker.model.prefix import family_of

Secrets = Callable[[SecretKeyRef], Password | None]
"""The value of one key of a Secret; None when it is not there."""

FINGERPRINT_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What one Node should do.

    Attributes:
        peers: its sessions; reflectors and routers stand among the others, by name.
        origins: why each is there, by the peer's name: "mesh", "reflectors" or "BGPPeer <name>".
        withheld: the sessions that cannot be configured now, by the peer's name, with a sentence why; what
            runs of them stays as it is.
        conflicts: the BGPPeers that do not count for all that they ask for, by name, with a sentence why.
        warnings: what threatens the fabric as a whole, a sentence each.
        fingerprint: equal on all Nodes that see the same Nodes and resources.
        reflects: whether this Node is a route reflector.
    """

    peers: tuple[Peer, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""
    reflects: bool = False


class Plan:
    """The fabric of the whole cluster; `of` is one Node's part of it.

    What all parts share is computed once: a part costs no more than the Nodes and the BGPPeers together.

    Args:
        nodes: every Node by name.
        configuration: the BGPConfiguration that counts.
        peers: every BGPPeer that was accepted.
    """

    def __init__(
        self, nodes: Mapping[str, FabricNode], configuration: BgpConfiguration, peers: Iterable[BgpPeer]
    ) -> None:
        self.whole = Membership(nodes, configuration, peers)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash over what decides which sessions there are, and how they are."""
        return _fingerprint(self.whole)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What threatens the fabric, a sentence each."""
        return warnings_of(self.whole)

    @property
    def conflicts(self) -> Mapping[str, str]:
        """The BGPPeers that do not count for all that they ask for, with a sentence why."""
        return self.whole.conflicts

    def of(self, own: str, secret: Secrets) -> Design:
        """The part of one Node; without sessions when it is not there or runs no speaker.

        Args:
            own: the Node's name.
            secret: the passwords.
        """
        part = _Part(self.whole, own, secret)
        if own in self.whole.speakers:
            part.add_nodes()
            part.add_routers()
        return Design(
            peers=tuple(part.peers[name] for name in sorted(part.peers)),
            origins=part.origins,
            withheld=part.withheld,
            conflicts=self.conflicts,
            warnings=self.warnings,
            fingerprint=self.fingerprint,
            reflects=own in self.whole.reflectors,
        )


def design(
    own: str,
    nodes: Mapping[str, FabricNode],
    configuration: BgpConfiguration,
    peers: Iterable[BgpPeer],
    secret: Secrets,
) -> Design:
    """What one Node should do; see `Plan`, which serves many Nodes at once."""
    return Plan(nodes, configuration, peers).of(own, secret)


class _Part:
    """One Node's sessions while they are gathered."""

    def __init__(self, whole: Membership, own: str, secret: Secrets) -> None:
        self._whole = whole
        self._own = own
        self._secret = secret
        self.peers: dict[str, Peer] = {}
        self.origins: dict[str, str] = {}
        self.withheld: dict[str, str] = {}

    def add_nodes(self) -> None:
        for name, link in self._whole.links(self._own).items():
            self._add_node(name, link)

    def add_routers(self) -> None:
        routers = self._whole.routers(self._own)
        configured = frozenset(family_of(address) for address in routers)
        for address, terms in routers.items():
            name = str(address)
            if self._is_withheld(name, terms.password):
                continue
            password = self._password(terms.password)
            self.peers[name] = router_peer(self._whole, self._own, address, terms, password, configured)
            self.origins[name] = f"BGPPeer {terms.name}"

    def _add_node(self, name: str, link: Link) -> None:
        wanted = link.terms.password if link.terms is not None else None
        ref = wanted or self._whole.configuration.node_mesh_password
        if self._is_withheld(name, ref):
            return
        peer = node_peer(self._whole, self._own, name, link, self._password(ref))
        if peer is not None:
            self.peers[name] = peer
            self.origins[name] = link.origin

    def _password(self, ref: SecretKeyRef | None) -> Password | None:
        return None if ref is None else self._secret(ref)

    def _is_withheld(self, name: str, ref: SecretKeyRef | None) -> bool:
        """Whether its password is missing: never is an empty one used in its place."""
        if ref is None or self._secret(ref) is not None:
            return False
        self.withheld[name] = (
            f"Secret {bounded(ref.name, 253)} has no key {bounded(ref.key)}, or is not there"
        )
        return True


def _fingerprint(whole: Membership) -> str:
    """Over the speakers, what the selectors chose, and the resources; not over what Pods have."""
    digest = sha256()
    for name, node in whole.speakers.items():
        # Written out, for there may be thousands: numbers are quicker than texts of addresses.
        addresses = ",".join(f"{each.version}:{int(each):x}" for each in node.addresses)
        reflector = 0 if node.cluster_id is None else int(node.cluster_id)
        line = f"{name} {addresses} {node.as_number} {reflector} {int(router_id_of(node))}\n"
        digest.update(line.encode())
    digest.update(_canonical(whole.reflectors).encode())
    for binding in whole.bindings:
        digest.update(_canonical((binding.terms.name, tuple(binding.near), tuple(binding.far))).encode())
    for peer, near in whole.outside:
        digest.update(_canonical((peer.name, near)).encode())
    digest.update(_canonical((whole.configuration, whole.peers)).encode())
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def _canonical(value: object) -> str:
    """A text that is the same in every process: sets have no order of their own."""
    if isinstance(value, Selector):
        return repr(value.text)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(_canonical(each) for each in value))}}}"
    if isinstance(value, tuple):
        return f"({','.join(_canonical(each) for each in value)})"
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical(tuple(getattr(value, each.name) for each in fields(value)))
    return repr(value)
