"""What a scrape sees."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from prometheus_client.parser import text_string_to_metric_families

from speaker.metrics import METRICS, STATE_NUMBERS, Metrics, MetricType
from speaker.model.peer import Password, Peer, SessionState, SessionStatus
from speaker.model.prefix import Family
from speaker.model.publication import ExclusionReason


def status(address: str = "10.0.0.1", state: SessionState = SessionState.ESTABLISHED) -> SessionStatus:
    return SessionStatus(
        peer=Peer(
            name=address,
            address=IPv4Address(address),
            asn=65030,
            local_asn=65000,
            router_id=IPv4Address("192.0.2.1"),
            families=frozenset(Family),
            password=Password("very-secret"),
        ),
        state=state,
        advertised=((Family.IPV4, 3), (Family.IPV6, 1)),
        received=((Family.IPV4, 7),),
        pending=2,
        flaps=4,
    )


class Source:
    def __init__(self, *, synced: bool, last_contact: float | None) -> None:
        self.synced = synced
        self.last_contact = last_contact


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(name, label values in the definition's order) to value."""
    labels = {definition.name: definition.labels for definition in METRICS}
    return {
        (sample.name, *(sample.labels[label] for label in labels.get(sample.name, ()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(node="node-1")


def test_a_session_is_seen_whole(metrics: Metrics) -> None:
    metrics.record_sessions({"tor": status()})
    seen = samples(metrics)
    assert seen["route_speaker_session_up", "tor"] == 1
    assert seen["route_speaker_session_state", "tor"] == 6
    assert seen["route_speaker_session_flaps_total", "tor"] == 4
    assert seen["route_speaker_routes_pending", "tor"] == 2
    assert seen["route_speaker_routes_advertised", "tor", "ipv4"] == 3
    assert seen["route_speaker_routes_advertised", "tor", "ipv6"] == 1
    assert seen["route_speaker_routes_received", "tor", "ipv4"] == 7


def test_what_is_learned_and_where_it_stands(metrics: Metrics) -> None:
    metrics.record_learning(learned=3, kernel={"wanted": 4, "installed": 2, "conflict": 1, "refused": 1})
    metrics.record_fabric(settled=False, retiring=2)
    seen = samples(metrics)
    assert seen["route_speaker_learned_prefixes",] == 3
    assert seen["route_speaker_kernel_routes", "installed"] == 2
    assert seen["route_speaker_kernel_routes", "conflict"] == 1
    assert seen["route_speaker_fabric_settled",] == 0
    assert seen["route_speaker_fabric_retiring_sessions",] == 2


def test_a_speaker_that_learns_nothing_has_no_such_series(metrics: Metrics) -> None:
    assert not [key for key in samples(metrics) if "learned" in key[0] or "fabric" in key[0]]


def test_kube_ovns_dashboards_find_their_series(metrics: Metrics) -> None:
    metrics.record_sessions({"tor": status(state=SessionState.ACTIVE)})
    seen = samples(metrics)
    assert seen["kube_ovn_speaker_bgp_peer_up", "node-1", "10.0.0.1", "65030"] == 0
    assert seen["kube_ovn_speaker_bgp_peer_session_state", "node-1", "10.0.0.1", "65030"] == 3


def test_a_peer_that_is_gone_takes_its_series_along_and_no_other(metrics: Metrics) -> None:
    metrics.record_sessions({"a": status("10.0.0.1"), "b": status("10.0.0.2")})
    metrics.count_changes("a", advertised=1, withdrawn=0)
    metrics.count_changes("b", advertised=2, withdrawn=0)
    metrics.record_sessions({"b": status("10.0.0.2")})
    seen = samples(metrics)
    assert not [key for key in seen if "a" in key or "10.0.0.1" in key]
    assert seen["route_speaker_session_up", "b"] == 1
    assert seen["route_speaker_changes_total", "b", "advertise"] == 2


def test_changes_add_up(metrics: Metrics) -> None:
    metrics.count_changes("tor", advertised=5, withdrawn=1)
    metrics.count_changes("tor", advertised=2, withdrawn=0)
    seen = samples(metrics)
    assert seen["route_speaker_changes_total", "tor", "advertise"] == 7
    assert seen["route_speaker_changes_total", "tor", "withdraw"] == 1


def test_every_exclusion_reason_has_a_series(metrics: Metrics) -> None:
    """An alert can be written before the first exclusion of its reason."""
    metrics.record_exclusions({ExclusionReason.NO_ADDRESS: 3})
    seen = samples(metrics)
    assert {key[1] for key in seen if key[0] == "route_speaker_exclusions"} == set(ExclusionReason)
    assert seen["route_speaker_exclusions", "NoAddress"] == 3
    assert seen["route_speaker_exclusions", "Headless"] == 0


def test_sources_and_sync(metrics: Metrics) -> None:
    metrics.record_sources(
        {"Pod": Source(synced=True, last_contact=12.5), "Node": Source(synced=False, last_contact=None)},
        in_sync=False,
    )
    seen = samples(metrics)
    assert seen[("route_speaker_in_sync",)] == 0
    assert seen["route_speaker_source_synced", "Pod"] == 1
    assert seen["route_speaker_source_synced", "Node"] == 0
    assert seen["route_speaker_source_last_contact_timestamp_seconds", "Pod"] == 12.5
    assert ("route_speaker_source_last_contact_timestamp_seconds", "Node") not in seen


def test_reconciliations_are_counted_by_duration(metrics: Metrics) -> None:
    metrics.observe_reconcile(0.003)
    seen = samples(metrics)
    assert seen[("route_speaker_reconcile_duration_seconds_count",)] == 1


def test_a_fresh_speaker_says_what_it_is_and_that_it_is_not_in_sync(metrics: Metrics) -> None:
    seen = samples(metrics)
    assert seen[("route_speaker_in_sync",)] == 0
    assert [value for key, value in seen.items() if key[0] == "route_speaker_build_info"] == [1]


def test_no_secret_is_exposed(metrics: Metrics) -> None:
    metrics.record_sessions({"tor": replace(status(), last_error="x")})
    assert b"very-secret" not in metrics.render()


def test_everything_exposed_is_defined_with_its_type(metrics: Metrics) -> None:
    """The reference page is generated from METRICS, so nothing of ours may bypass it."""
    metrics.record_sessions({"tor": status()})
    metrics.record_exclusions({})
    metrics.record_sources({"Pod": Source(synced=True, last_contact=1.0)}, in_sync=True)
    metrics.record_connections(refused=1)
    metrics.record_bfd({"tor": (True, 2)})
    metrics.record_learning(learned=1, kernel={"wanted": 1})
    metrics.record_fabric(settled=True, retiring=0)
    metrics.count_changes("tor", advertised=1, withdrawn=1)
    metrics.observe_reconcile(0.1)
    exposed = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(metrics.render().decode())
        if not family.name.startswith("process_") and not family.name.endswith("_created")
    }
    assert set(exposed) == {definition.name for definition in METRICS}
    for definition in METRICS:
        assert exposed[definition.name].type == definition.type
        assert exposed[definition.name].documentation == definition.help


def test_names_follow_prometheus_habits() -> None:
    for definition in METRICS:
        assert definition.name.endswith("_total") == (definition.type is MetricType.COUNTER)
        assert definition.help.endswith(".")


def test_every_state_has_its_number() -> None:
    assert sorted(STATE_NUMBERS.values()) == [1, 2, 3, 4, 5, 6]
    assert set(STATE_NUMBERS) == set(SessionState)
