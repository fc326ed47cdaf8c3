"""What Prometheus is told: every metric by name, type, labels and meaning, and their last values.

Knows the shape of the exposition; knows nothing of how a value came about. The last recorded
values are kept whole and turned into samples when asked: a label set that is no longer recorded is
gone at the next scrape, and no other series is reset for it.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from speaker import __version__
from speaker.model.peer import SessionState, SessionStatus
from speaker.model.publication import ExclusionReason

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATE_NUMBERS: dict[SessionState, int] = {
    SessionState.IDLE: 1,
    SessionState.CONNECT: 2,
    SessionState.ACTIVE: 3,
    SessionState.OPEN_SENT: 4,
    SessionState.OPEN_CONFIRM: 5,
    SessionState.ESTABLISHED: 6,
}
"""bgpPeerState of RFC 4273, which Kube-OVN's dashboards use too."""

RECONCILE_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class MetricType(StrEnum):
    """The types of metric that we expose, by their names in the exposition format."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric: `help` says what a value means, and what it does not prove."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    help: str


_KUBE_OVN_LABELS = ("node", "peer", "peer_asn")

METRICS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        "route_speaker_build_info",
        MetricType.GAUGE,
        ("version", "python_version"),
        "Always 1; the labels say what runs.",
    ),
    MetricDefinition(
        "route_speaker_in_sync",
        MetricType.GAUGE,
        (),
        "1 once every source has listed once and the routes follow from them, 0 before. "
        "It stays 1 while the API server is away, because what is known then still stands.",
    ),
    MetricDefinition(
        "route_speaker_source_synced",
        MetricType.GAUGE,
        ("source",),
        "1 once this source (a kind of object, or the host's network) has been read whole, else 0.",
    ),
    MetricDefinition(
        "route_speaker_source_last_contact_timestamp_seconds",
        MetricType.GAUGE,
        ("source",),
        "When this source last answered, in seconds since the epoch. Absent until it has answered.",
    ),
    MetricDefinition(
        "route_speaker_session_state",
        MetricType.GAUGE,
        ("peer",),
        "State of the BGP session: 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established.",
    ),
    MetricDefinition(
        "route_speaker_session_up",
        MetricType.GAUGE,
        ("peer",),
        "1 while the BGP session is Established, else 0.",
    ),
    MetricDefinition(
        "route_speaker_session_flaps_total",
        MetricType.COUNTER,
        ("peer",),
        "How many times an established session to the peer has ended since the speaker started.",
    ),
    MetricDefinition(
        "route_speaker_routes_advertised",
        MetricType.GAUGE,
        ("peer", "family"),
        "Routes written to the peer's connection and not withdrawn. "
        "It does not prove that the peer has accepted or installed them.",
    ),
    MetricDefinition(
        "route_speaker_routes_pending",
        MetricType.GAUGE,
        ("peer",),
        "Route changes that wait to be written to the peer's connection.",
    ),
    MetricDefinition(
        "route_speaker_routes_received",
        MetricType.GAUGE,
        ("peer", "family"),
        "Routes that the peer has sent and not withdrawn; being counted does not mean being used.",
    ),
    MetricDefinition(
        "route_speaker_connections_refused_total",
        MetricType.COUNTER,
        (),
        "Incoming connections that were closed at once: strangers', or unwelcome at that moment.",
    ),
    MetricDefinition(
        "route_speaker_bfd_up",
        MetricType.GAUGE,
        ("peer",),
        "1 while the BFD session beside the BGP session is Up, else 0. Absent without BFD.",
    ),
    MetricDefinition(
        "route_speaker_bfd_flaps_total",
        MetricType.COUNTER,
        ("peer",),
        "How many times the BFD session to the peer has gone down since it began.",
    ),
    MetricDefinition(
        "route_speaker_learned_prefixes",
        MetricType.GAUGE,
        (),
        "Prefixes with a path in use that a peer has taught. Absent when nothing is learned.",
    ),
    MetricDefinition(
        "route_speaker_kernel_routes",
        MetricType.GAUGE,
        ("state",),
        "Learned routes and blackholes: wanted, installed in the kernel just so, conflict (another program's "
        "route is there), refused (by the kernel or for want of a next hop). Absent when nothing is learned.",
    ),
    MetricDefinition(
        "route_speaker_fabric_settled",
        MetricType.GAUGE,
        (),
        "1 while every session of the fabric's design is established and has told all it knows, else 0.",
    ),
    MetricDefinition(
        "route_speaker_fabric_retiring_sessions",
        MetricType.GAUGE,
        (),
        "Sessions of an earlier design that go on until the new one carries everything.",
    ),
    MetricDefinition(
        "route_speaker_exclusions",
        MetricType.GAUGE,
        ("reason",),
        "Prefixes and objects that ask for publication and are not advertised by this node, by reason. "
        "`speaker explain` names them.",
    ),
    MetricDefinition(
        "route_speaker_changes_total",
        MetricType.COUNTER,
        ("peer", "action"),
        "Route changes decided for the peer since the speaker started; action is advertise or withdraw. "
        "A change may still be pending or be overtaken by the next one.",
    ),
    MetricDefinition(
        "route_speaker_reconcile_duration_seconds",
        MetricType.HISTOGRAM,
        (),
        "Time from taking up a batch of changes to handing the routes to the sessions, "
        "including the turns that the event loop gave to others.",
    ),
    MetricDefinition(
        "kube_ovn_speaker_bgp_peer_up",
        MetricType.GAUGE,
        _KUBE_OVN_LABELS,
        "As route_speaker_session_up, under Kube-OVN's name and labels, for dashboards made for it.",
    ),
    MetricDefinition(
        "kube_ovn_speaker_bgp_peer_session_state",
        MetricType.GAUGE,
        _KUBE_OVN_LABELS,
        "As route_speaker_session_state, under Kube-OVN's name and labels, for dashboards made for it.",
    ),
)

_BY_NAME = {definition.name: definition for definition in METRICS}
_RECONCILE = _BY_NAME["route_speaker_reconcile_duration_seconds"]

Samples = dict[tuple[str, ...], float]
"""Label values, in the definition's order, to the value."""


class SourceState(Protocol):
    """What is recorded of one source; `last_contact` is in seconds since the epoch, None if never."""

    @property
    def synced(self) -> bool:
        """Whether it has been read whole once."""
        ...

    @property
    def last_contact(self) -> float | None:
        """When it last answered."""
        ...


class _LastValues(Collector):
    """Turns the last recorded samples into metric families when a scrape asks."""

    def __init__(self) -> None:
        self.samples: dict[str, Samples] = {}

    def collect(self) -> Iterator[Metric]:
        for definition in METRICS:
            samples = self.samples.get(definition.name)
            if samples is None or definition.type is MetricType.HISTOGRAM:
                continue
            family = _family(definition)
            for labels, value in samples.items():
                family.add_metric(labels, value)
            yield family


def _family(definition: MetricDefinition) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if definition.type is MetricType.COUNTER else GaugeMetricFamily
    return kind(definition.name, definition.help, labels=definition.labels)


class Metrics:
    """The metrics of one speaker, in a registry of its own.

    Args:
        node: the value of the `node` label that Kube-OVN's metrics carry.
    """

    def __init__(self, *, node: str) -> None:
        self._node = node
        self._registry = CollectorRegistry(auto_describe=False)
        self._values = _LastValues()
        self._values.samples["route_speaker_build_info"] = {(__version__, platform.python_version()): 1}
        self._values.samples["route_speaker_in_sync"] = {(): 0}
        self._changes: Samples = {}
        self._registry.register(self._values)
        self._reconcile = Histogram(
            _RECONCILE.name, _RECONCILE.help, registry=self._registry, buckets=RECONCILE_BUCKETS_SECONDS
        )
        ProcessCollector(registry=self._registry)

    def record_sessions(self, sessions: Mapping[str, SessionStatus]) -> None:
        """Record all sessions, by peer name; a peer that is not among them loses its series."""
        up = {name: float(status.state is SessionState.ESTABLISHED) for name, status in sessions.items()}
        state = {name: float(STATE_NUMBERS[status.state]) for name, status in sessions.items()}
        kube_ovn = {
            name: (self._node, str(status.peer.address), str(status.peer.asn))
            for name, status in sessions.items()
        }
        self._changes = {labels: count for labels, count in self._changes.items() if labels[0] in sessions}
        self._values.samples |= {
            "route_speaker_session_up": {(name,): value for name, value in up.items()},
            "route_speaker_session_state": {(name,): value for name, value in state.items()},
            "route_speaker_session_flaps_total": {(name,): s.flaps for name, s in sessions.items()},
            "route_speaker_routes_pending": {(name,): s.pending for name, s in sessions.items()},
            "route_speaker_routes_advertised": {
                (name, family): count for name, s in sessions.items() for family, count in s.advertised
            },
            "route_speaker_routes_received": {
                (name, family): count for name, s in sessions.items() for family, count in s.received
            },
            "route_speaker_changes_total": self._changes,
            "kube_ovn_speaker_bgp_peer_up": {labels: up[name] for name, labels in kube_ovn.items()},
            "kube_ovn_speaker_bgp_peer_session_state": {
                labels: state[name] for name, labels in kube_ovn.items()
            },
        }

    def record_connections(self, *, refused: int) -> None:
        """Record how many incoming connections were refused since the start."""
        self._values.samples["route_speaker_connections_refused_total"] = {(): refused}

    def record_bfd(self, sessions: Mapping[str, tuple[bool, int]]) -> None:
        """Record all BFD sessions, by peer name: whether each is up, and how often it went down."""
        self._values.samples |= {
            "route_speaker_bfd_up": {(name,): float(up) for name, (up, _) in sessions.items()},
            "route_speaker_bfd_flaps_total": {(name,): flaps for name, (_, flaps) in sessions.items()},
        }

    def record_learning(self, *, learned: int, kernel: Mapping[str, int]) -> None:
        """Record how many prefixes are learned, and by state how many of their routes the kernel has."""
        self._values.samples |= {
            "route_speaker_learned_prefixes": {(): learned},
            "route_speaker_kernel_routes": {(state,): count for state, count in kernel.items()},
        }

    def record_fabric(self, *, settled: bool, retiring: int) -> None:
        """Record how far the fabric is on its way to the design."""
        self._values.samples |= {
            "route_speaker_fabric_settled": {(): float(settled)},
            "route_speaker_fabric_retiring_sessions": {(): retiring},
        }

    def count_changes(self, peer: str, *, advertised: int, withdrawn: int) -> None:
        """Add the route changes that were decided for the peer of this name."""
        for action, count in (("advertise", advertised), ("withdraw", withdrawn)):
            self._changes[peer, action] = self._changes.get((peer, action), 0) + count
        self._values.samples["route_speaker_changes_total"] = self._changes

    def record_exclusions(self, counts: Mapping[ExclusionReason, int]) -> None:
        """Record how many exclusions there are of each reason; reasons not named count 0."""
        self._values.samples["route_speaker_exclusions"] = {
            (reason,): counts.get(reason, 0) for reason in ExclusionReason
        }

    def record_sources(self, sources: Mapping[str, SourceState], *, in_sync: bool) -> None:
        """Record all sources, by name, and whether the routes follow from all of them."""
        self._values.samples |= {
            "route_speaker_in_sync": {(): float(in_sync)},
            "route_speaker_source_synced": {(name,): float(s.synced) for name, s in sources.items()},
            "route_speaker_source_last_contact_timestamp_seconds": {
                (name,): s.last_contact for name, s in sources.items() if s.last_contact is not None
            },
        }

    def observe_reconcile(self, seconds: float) -> None:
        """Count one reconciliation that took so long."""
        self._reconcile.observe(seconds)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)
