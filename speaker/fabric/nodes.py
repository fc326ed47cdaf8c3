"""Nodes as the fabric sees them: addresses, AS number, cluster ID, Pod CIDRs, by Node.

Knows Nodes with their annotations, Calico's IPAM blocks and Kube-OVN's Subnets. Must not know who peers
with whom. An annotation that is not understood counts as not written, and a sentence says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import TypeVar

from annotations.problems import problem
from speaker.model.fabric import GROUP, FabricNode
from speaker.model.objects import Change, IpamBlockView, Kind, NodeView, ObjectRef, SubnetView
from speaker.model.policy import PodCidrSource
from speaker.model.prefix import Address, Family, Prefix, family_of, sort_key
from speaker.routing.vpc import DEFAULT_VPCS
from speaker.texts import readers

CALICO = "projectcalico.org"
LARGEST_AS_NUMBER = 4294967295

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Keys:
    """The annotation that says one thing: ours, and Calico's where Calico has one."""

    own: str
    calico: str | None = None


AS_NUMBER = _Keys(f"{GROUP}/as-number", f"{CALICO}/ASNumber")
CLUSTER_ID = _Keys(f"{GROUP}/route-reflector-cluster-id", f"{CALICO}/RouteReflectorClusterID")
ROUTER_ID = _Keys(f"{GROUP}/router-id")
IPV4_ADDRESS = _Keys(f"{GROUP}/ipv4-address", f"{CALICO}/IPv4Address")
IPV6_ADDRESS = _Keys(f"{GROUP}/ipv6-address", f"{CALICO}/IPv6Address")

_AS_NUMBER_EXPECTED = "must be an AS number from 1 to 4294967295, such as 64512 or 1.10"
_DOTTED_EXPECTED = "must be written as an IPv4 address other than 0.0.0.0"


def read_as_number(text: str) -> int:
    """An AS number, plain or as high.low (RFC 5396); raises ValueError."""
    high, dot, low = text.strip().partition(".")
    half = readers.integer(0, 65535)
    try:
        value = (half(high) << 16) + half(low) if dot else readers.integer(1, LARGEST_AS_NUMBER)(high)
    except ValueError:
        value = 0
    if value == 0:  # RFC 7607: AS 0 is nobody's.
        raise ValueError(_AS_NUMBER_EXPECTED)
    return value


def _dotted(text: str) -> IPv4Address:
    try:
        return readers.router_id(text.strip())
    except ValueError:
        raise ValueError(_DOTTED_EXPECTED) from None


def _address(family: Family) -> Callable[[str], Address]:
    """An address that other nodes can reach; Calico writes it with the length of its prefix."""
    unicast = readers.unicast(family)

    def read(text: str) -> Address:
        address = unicast(text.strip().partition("/")[0])
        if not is_reachable(address):
            raise ValueError("must be an address that other nodes reach")
        return address

    return read


def is_reachable(address: Address) -> bool:
    """Whether other nodes can have it as a neighbour's address: no loopback, link-local or multicast."""
    return not (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    )


class _Annotations:
    """The annotations of one Node; collects what is not understood."""

    def __init__(self, written: Mapping[str, str]) -> None:
        self._written = written
        self.problems: list[str] = []

    def read(self, keys: _Keys, reader: Callable[[str], _T]) -> _T | None:
        """The value; None when neither key is there, or the one that counts is wrong."""
        for key in (keys.own, keys.calico):
            text = None if key is None else self._written.get(key)
            if key is None or text is None:
                continue
            try:
                return reader(text)
            except ValueError as error:
                self.problems.append(problem(key, text, str(error)).sentence)
                return None
        return None


def read_node(
    view: NodeView, *, label: tuple[str, str] | None = None, pod_cidrs: tuple[Prefix, ...] = ()
) -> FabricNode:
    """A Node with what its annotations say.

    Args:
        view: the Node.
        label: key and value of the label that chooses speakers; None takes every Node for one.
        pod_cidrs: its Pod CIDRs, from their source.
    """
    written = _Annotations(view.meta.annotations)
    addresses = tuple(
        address
        for family, keys in ((Family.IPV4, IPV4_ADDRESS), (Family.IPV6, IPV6_ADDRESS))
        if (address := written.read(keys, _address(family)) or _internal(view, family)) is not None
    )
    first = addresses[0] if addresses else None
    router_id = written.read(ROUTER_ID, _dotted) or (first if isinstance(first, IPv4Address) else None)
    return FabricNode(
        name=view.meta.ref.name,
        labels=view.labels,
        addresses=addresses,
        as_number=written.read(AS_NUMBER, read_as_number),
        cluster_id=written.read(CLUSTER_ID, _dotted),
        router_id=router_id,
        pod_cidrs=pod_cidrs,
        is_speaker=label is None or view.labels.get(label[0]) == label[1],
        problems=tuple(written.problems),
    )


def _internal(view: NodeView, family: Family) -> Address | None:
    """The first InternalIP of a family that other nodes can reach."""
    return next((ip for ip in view.internal_ips if family_of(ip) is family and is_reachable(ip)), None)


class NodeBook:
    """All Nodes, kept up to date change by change.

    A change costs the Node that it concerns, except when it decides about the source of all Pod CIDRs:
    the first IPAM block or the last.

    Args:
        label: key and value of the label that chooses speakers; None takes every Node for one.
        pod_cidr_source: where Pod CIDRs are read; AUTO as in `speaker.routing.select`: Calico's blocks if
            there is any, else Kube-OVN's Subnets, else the Nodes.
    """

    def __init__(
        self,
        *,
        label: tuple[str, str] | None = None,
        pod_cidr_source: PodCidrSource = PodCidrSource.AUTO,
    ) -> None:
        self._label = label
        self._source = pod_cidr_source
        self._views: dict[str, NodeView] = {}
        self._blocks: dict[ObjectRef, IpamBlockView] = {}
        self._subnets: dict[ObjectRef, SubnetView] = {}
        self._nodes: dict[str, FabricNode] = {}
        self._uids: dict[str, str] = {}
        # What each Node gets from the blocks and Subnets, in the order of their names.
        self._allocated: dict[str, dict[ObjectRef, tuple[Prefix, ...]]] = {}
        self._stale: set[str] = set()
        self._ranges: tuple[Prefix, ...] | None = ()
        self._generation = 0

    def apply(self, changes: Iterable[Change]) -> bool:
        """Take over changes; others than of Nodes, IPAM blocks and Subnets are passed over.

        Returns whether `nodes` or `pod_ranges` may have changed.
        """
        before = self._present_source
        changed = False
        for change in changes:
            match change.ref.kind:
                case Kind.NODE:
                    changed |= self._node(change)
                case Kind.IPAM_BLOCK:
                    changed |= self._block(change)
                case Kind.SUBNET:
                    changed |= self._subnet(change)
                case _:
                    continue
        if before is not self._present_source:
            self._stale.update(self._views)
        return changed

    @property
    def nodes(self) -> Mapping[str, FabricNode]:
        """Every Node by its name; an unchanged Node is the same object as before."""
        self._refresh()
        return MappingProxyType(self._nodes)

    def _refresh(self) -> None:
        for name in self._stale:
            view = self._views.get(name)
            if view is not None:
                fresh = read_node(view, label=self._label, pod_cidrs=self._pod_cidrs(view))
                before = self._nodes.get(name)
                if before != fresh:
                    self._nodes[name] = fresh
                    if before is None or replace(before, pod_cidrs=fresh.pod_cidrs) != fresh:
                        self._generation += 1
        self._stale.clear()

    @property
    def generation(self) -> int:
        """Another number whenever anything of the Nodes but their Pod CIDRs has changed."""
        self._refresh()
        return self._generation

    @property
    def uids(self) -> Mapping[str, str]:
        """`metadata.uid` of each Node, for what is to go with it."""
        return MappingProxyType(self._uids)

    @property
    def pod_ranges(self) -> tuple[Prefix, ...]:
        """What Pods' addresses lie in: of all Nodes, IPAM blocks and Subnets; none inside another.

        Subnets of custom VPCs are left out: the underlay cannot tell their addresses apart.
        """
        if self._ranges is None:
            cidrs = {cidr for view in self._views.values() for cidr in view.pod_cidrs}
            cidrs.update(block.cidr for block in self._blocks.values())
            cidrs.update(cidr for subnet in self._subnets.values() for cidr in _underlay(subnet))
            self._ranges = _outermost(cidrs)
        return self._ranges

    @property
    def _present_source(self) -> PodCidrSource:
        if self._source is not PodCidrSource.AUTO:
            return self._source
        if self._blocks:
            return PodCidrSource.CALICO
        return PodCidrSource.KUBE_OVN if self._subnets else PodCidrSource.NODE

    def _pod_cidrs(self, view: NodeView) -> tuple[Prefix, ...]:
        source = self._present_source
        if source is PodCidrSource.NODE:
            return tuple(dict.fromkeys(view.pod_cidrs))
        kind = Kind.IPAM_BLOCK if source is PodCidrSource.CALICO else Kind.SUBNET
        allocated = self._allocated.get(view.meta.ref.name, {})
        return tuple(
            dict.fromkeys(cidr for ref in sorted(allocated) if ref.kind is kind for cidr in allocated[ref])
        )

    def _node(self, change: Change) -> bool:
        name = change.ref.name
        before = self._views.get(name)
        if not isinstance(change.view, NodeView):
            if before is None:
                return False
            del self._views[name]
            self._nodes.pop(name, None)
            self._generation += 1
            self._uids.pop(name, None)
            self._ranges = None
            return True
        if before == change.view:
            return False
        self._views[name] = change.view
        self._uids[name] = change.view.meta.uid
        self._stale.add(name)
        if before is None or before.pod_cidrs != change.view.pod_cidrs:
            self._ranges = None
        return True

    def _block(self, change: Change) -> bool:
        after = change.view if isinstance(change.view, IpamBlockView) else None
        before = self._blocks.pop(change.ref, None)
        if after is not None:
            self._blocks[change.ref] = after
        if before == after:
            return False
        self._allot(change.ref, () if before is None else (before.node_name,), ())
        if after is not None:
            self._allot(change.ref, (after.node_name,), (after.cidr,))
        return True

    def _subnet(self, change: Change) -> bool:
        after = change.view if isinstance(change.view, SubnetView) else None
        before = self._subnets.pop(change.ref, None)
        if after is not None:
            self._subnets[change.ref] = after
        if before == after:
            return False
        self._allot(change.ref, () if before is None else before.gateway_nodes, ())
        if after is not None:
            self._allot(change.ref, after.gateway_nodes, _underlay(after))
        return True

    def _allot(self, ref: ObjectRef, names: Iterable[str], cidrs: tuple[Prefix, ...]) -> None:
        """Give Nodes the CIDRs of an object; none takes away what they had of it."""
        self._ranges = None
        for name in names:
            if cidrs:
                self._allocated.setdefault(name, {})[ref] = cidrs
            elif name in self._allocated:
                self._allocated[name].pop(ref, None)
                if not self._allocated[name]:
                    del self._allocated[name]
            self._stale.add(name)


def _underlay(subnet: SubnetView) -> tuple[Prefix, ...]:
    return subnet.cidrs if subnet.vpc in DEFAULT_VPCS else ()


def _outermost(cidrs: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """Those that lie in no other, in order.

    Neighbours are not joined: a prefix that covers two Nodes is nothing that a Node would tell.
    """
    kept: list[Prefix] = []
    for cidr in sorted(cidrs, key=sort_key):
        # In this order whatever contains a prefix stands before it, and nothing else between.
        last = kept[-1] if kept else None
        inside = (
            last is not None
            and last.version == cidr.version
            and last.prefixlen <= cidr.prefixlen
            and last.network_address <= cidr.network_address  # type: ignore[operator]
            and cidr.broadcast_address <= last.broadcast_address  # type: ignore[operator]
        )
        if not inside:
            kept.append(cidr)
    return tuple(kept)
