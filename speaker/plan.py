"""What every node would advertise to each peer, and what not and why: `speaker plan`.

Puts settings, objects and the reconciler together as the daemon does, for each node in turn, without a
session, a kernel or a clock. Every node is taken to be on its own InternalIPs, as a speaker on the host
network is, and every peer to be up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from speaker.errors import UsageError
from speaker.fabric.design import Plan as FabricPlan
from speaker.fabric.nodes import NodeBook
from speaker.fabric.resources import ResourceBook
from speaker.model.objects import Change, NodeView
from speaker.model.peer import Password, Peer
from speaker.model.policy import HostView, PeerView
from speaker.model.prefix import Address, Prefix, family_of, sort_key
from speaker.model.publication import REASON_SENTENCES, Exclusion
from speaker.model.route import AdjRibOut, PathAttributes, Route
from speaker.routing.outbound import Outbound
from speaker.routing.reconcile import Result, reconcile
from speaker.settings import Settings, settings_from

OWN_HOST_VARIABLES = frozenset({"NODE_NAME", "KRS_NODE_NAME", "POD_IP", "POD_IPS"})
"""What the environment says of the host that plans, and not of the nodes that it plans for."""

UNKNOWN_NODE_ROUTER_ID = "192.0.2.1"
"""Stands where there is no Node object to take a router ID from; no route depends on it."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What one node would do.

    Attributes:
        result: what follows from the objects.
        tables: what of it each peer would hear.
    """

    node: str
    peers: tuple[Peer, ...]
    result: Result
    tables: Mapping[str, AdjRibOut]


class Planner:
    """Plans for the nodes that the objects describe.

    Args:
        given: the flags as for `settings_from`; `node-name` plans for that node alone.
        environ: the environment; what it says of this host is left out.

    Raises:
        UsageError: the flags are wrong.
    """

    def __init__(self, given: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._given = {key: texts for key, texts in given.items() if key != "node-name"}
        self._environ = {key: text for key, text in environ.items() if key not in OWN_HOST_VARIABLES}
        chosen = given.get("node-name")
        self.settings = self._settings(chosen or "any-node", None)
        self._chosen = self.settings.node_name if chosen else None

    def plans(self, changes: Sequence[Change]) -> tuple[NodePlan, ...]:
        """A plan for every Node among the objects, by name; raises UsageError when there is none."""
        nodes = {change.ref.name: change.view for change in changes if isinstance(change.view, NodeView)}
        fabric = _Fabric(self.settings, changes)
        return tuple(self._plan(name, nodes.get(name), changes, fabric) for name in self._names(nodes))

    def problems(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """What the resources of the fabric have wrong, a sentence each."""
        return _Fabric(self.settings, changes).problems

    def _names(self, nodes: Mapping[str, NodeView]) -> Sequence[str]:
        if self._chosen is None and not nodes:
            raise UsageError(
                "there is no Node among the objects; add the Nodes, or name one with --node-name"
            )
        if self._chosen is not None and nodes and self._chosen not in nodes:
            raise UsageError(f"--node-name={self._chosen}: the Nodes are {', '.join(sorted(nodes)[:20])}")
        return sorted(nodes) if self._chosen is None else [self._chosen]

    def _plan(
        self, name: str, node: NodeView | None, changes: Sequence[Change], fabric: "_Fabric"
    ) -> NodePlan:
        settings = self._settings(name, node)
        taken = {peer.address for peer in settings.peers()}
        asked = (peer for peer in fabric.peers(name) if peer.address not in taken)
        peers = (*settings.peers(), *asked)
        host = _host(settings, peers, node.internal_ips if node else ())
        result = reconcile(settings.publication_policy(), host, changes)
        return NodePlan(name, peers, result, fabric.exported(host, result.adj_ribs_out))

    def _settings(self, name: object, node: NodeView | None) -> Settings:
        environ = dict(self._environ)
        if node is None:
            environ.setdefault("KRS_ROUTER_ID", UNKNOWN_NODE_ROUTER_ID)
        else:
            environ["POD_IPS"] = ",".join(str(address) for address in node.internal_ips)
        try:
            return settings_from({**self._given, "node-name": name}, environ)
        except UsageError as error:
            raise UsageError(f"Node {name}: {error}" if node else str(error)) from None


class _Fabric:
    """What the cluster says of peers; nothing without --fabric."""

    def __init__(self, settings: Settings, changes: Sequence[Change]) -> None:
        policy = settings.publication_policy()
        nodes = NodeBook(label=policy.node_label, pod_cidr_source=policy.pod_cidr_source)
        self._resources = ResourceBook()
        if settings.fabric:
            nodes.apply(changes)
            self._resources.apply(changes)
        resources = self._resources
        self._plan = FabricPlan(nodes.nodes, resources.configuration, resources.peers)
        self._configured = settings.fabric

    def peers(self, node: str) -> tuple[Peer, ...]:
        """The peers of one node; passwords are in Secrets, which a plan does not read."""
        return self._plan.of(node, lambda _: Password("not read")).peers if self._configured else ()

    def exported(self, host: HostView, tables: Mapping[str, AdjRibOut]) -> Mapping[str, AdjRibOut]:
        """What is left of each peer's table by the export rules of BGPFilters."""
        outbound = Outbound()
        advertisements = self._resources.configuration.prefix_advertisements
        outbound.set_host(host, self._resources.filters, advertisements)
        found: dict[str, AdjRibOut] = {}
        for peer, table in tables.items():
            passed = outbound.own(peer, table)
            found[peer] = {prefix: paths for prefix, paths in passed.items() if isinstance(paths, Route)}
        return found

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong or doubtful, a sentence each."""
        if not self._configured:
            return ()
        wrong = [f"{ref}: {each}" for ref, found in self._resources.problems.items() for each in found]
        conflicts = [f"BGPPeer {name}: {sentence}" for name, sentence in self._plan.conflicts.items()]
        missing = [
            f"BGPPeer {name}: there is no BGPFilter {each}"
            for name, filters in self._resources.missing_filters.items()
            for each in filters
        ]
        return (*wrong, *conflicts, *missing, *self._plan.warnings)


def _host(settings: Settings, peers: Iterable[Peer], internal_ips: tuple[Address, ...]) -> HostView:
    """The host as its kernel would show it, with one address of each family."""
    own = {family_of(address): address for address in reversed(internal_ips)}
    return HostView(
        node_ips=settings.node_ips,
        pod_ips=settings.pod_ips,
        allowed_sources=settings.allowed_sources,
        peers={
            peer.name: PeerView(peer=peer, preferred_source=own.get(family_of(peer.address)))
            for peer in peers
        },
    )


def as_document(plans: Iterable[NodePlan]) -> list[dict[str, object]]:
    """The plans as `speaker plan -o json` writes them."""
    return [
        {
            "node": plan.node,
            "peers": [
                {"peer": peer.name, "asn": peer.asn, "routes": routes_to(plan, peer.name)}
                for peer in plan.peers
            ],
            "excluded": exclusions(plan),
            "notes": notes(plan),
        }
        for plan in plans
    ]


def routes_to(plan: NodePlan, peer: str) -> list[dict[str, object]]:
    """The routes that `peer` would hear, each with the objects that ask for it."""
    because: dict[Prefix, list[str]] = {}
    for ref, outcome in sorted(plan.result.outcomes.items()):
        for publication in outcome.publications:
            because.setdefault(publication.prefix, []).append(f"{ref}: {publication.why}")
    table = plan.tables.get(peer, {})
    return [_route(table[prefix], because.get(prefix, [])) for prefix in sorted(table, key=sort_key)]


def exclusions(plan: NodePlan) -> list[dict[str, object]]:
    """What the node does not advertise and why, by object."""
    outcomes = sorted(plan.result.outcomes.items())
    return [_exclusion(each) for _, outcome in outcomes for each in outcome.exclusions]


def notes(plan: NodePlan) -> list[dict[str, object]]:
    """What keeps no prefix back but is otherwise than asked, by object."""
    outcomes = sorted(plan.result.outcomes.items())
    return [_exclusion(each) for _, outcome in outcomes for each in outcome.notes]


def _route(route: Route, because: list[str]) -> dict[str, object]:
    return {
        "prefix": str(route.prefix),
        "next_hop": str(route.next_hop),
        **_attributes(route.attributes),
        "because": because,
    }


def _attributes(attributes: PathAttributes) -> dict[str, object]:
    """The attributes that are set, communities in the notation of RFC 1997 and RFC 8092."""
    every: dict[str, object] = {
        "communities": [f"{value >> 16}:{value & 0xFFFF}" for value in attributes.communities],
        "large_communities": [":".join(map(str, value)) for value in attributes.large_communities],
        "med": attributes.med,
        "local_preference": attributes.local_preference,
        "as_path_prepend": attributes.as_path_prepend or None,
    }
    return {key: value for key, value in every.items() if value not in (None, [])}


def _exclusion(exclusion: Exclusion) -> dict[str, object]:
    return {
        "object": str(exclusion.source),
        "prefix": str(exclusion.prefix) if exclusion.prefix else None,
        "peer": exclusion.peer or None,
        "reason": exclusion.reason.value,
        "sentence": REASON_SENTENCES[exclusion.reason],
        "detail": exclusion.detail or None,
    }
