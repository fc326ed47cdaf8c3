"""Does this node publish it?

Knows the node's own state and which nodes hold usable endpoints; knows no prefix and no peer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from speaker.model.objects import Endpoint, NodeView
from speaker.model.policy import PublicationPolicy
from speaker.model.publication import ExclusionReason

EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


@dataclass(frozen=True, slots=True)
class NodeGate:
    """What this node's own object says about publishing at all.

    Attributes:
        closed: why nothing is published from here, or None.
        no_external_addresses: whether load balancer and external addresses stay away from here. The
            label's presence counts, whatever its value (as in the cloud controllers).
    """

    closed: ExclusionReason | None = None
    no_external_addresses: bool = False


OPEN_GATE = NodeGate()


def node_gate(node: NodeView | None, policy: PublicationPolicy) -> NodeGate:
    """The gate of this node; an unknown Node closes nothing, since unknown is not *no*."""
    if node is None:
        return OPEN_GATE
    closed = None
    if policy.node_label is not None:
        key, value = policy.node_label
        if node.labels.get(key) != value:
            closed = ExclusionReason.NODE_NOT_SELECTED
    if closed is None and policy.drain_on_cordon and node.unschedulable:
        closed = ExclusionReason.NODE_DRAINING
    return NodeGate(closed, EXCLUDE_LABEL in node.labels)


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """What one EndpointSlice says, as far as a decision of this node reads it."""

    ready: bool = False
    ready_here: bool = False
    draining: bool = False
    draining_here: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a Service has a usable endpoint of a family anywhere, and on this node."""

    anywhere: bool
    here: bool


def summarise(endpoints: Iterable[Endpoint], node_name: str) -> EndpointSummary:
    """The slice in four bits, so that a Service's decision never walks endpoints again."""
    ready = ready_here = draining = draining_here = False
    for endpoint in endpoints:
        here = endpoint.node_name == node_name
        if endpoint.ready:
            ready = True
            ready_here = ready_here or here
        elif endpoint.serving and endpoint.terminating:
            draining = True
            draining_here = draining_here or here
    return EndpointSummary(ready, ready_here, draining, draining_here)


def presence(summaries: Iterable[EndpointSummary]) -> Presence:
    """Ready endpoints; only if the Service has none at all, those that still serve while terminating."""
    ready = ready_here = draining = draining_here = False
    for each in summaries:
        ready = ready or each.ready
        ready_here = ready_here or each.ready_here
        draining = draining or each.draining
        draining_here = draining_here or each.draining_here
    return Presence(ready, ready_here) if ready else Presence(draining, draining_here)


def service_exclusion(endpoints: Presence, *, local: bool, without_endpoints: bool) -> ExclusionReason | None:
    """Why this node does not publish an address of a Service, by its endpoints.

    A node without an endpoint would drop the traffic under a Local traffic policy, so
    `--announce-without-endpoints` opens only the Cluster policy.
    """
    if local and endpoints.here:
        return None
    if not endpoints.anywhere:
        return None if without_endpoints and not local else ExclusionReason.NO_USABLE_ENDPOINT
    return ExclusionReason.NO_LOCAL_ENDPOINT if local else None
