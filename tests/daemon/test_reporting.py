"""What is said about routes, sessions and sources."""

import asyncio
import logging
from ipaddress import IPv4Network, ip_address, ip_network

import pytest

from speaker.bgp import SessionEvent, SessionEventKind
from speaker.cluster import SourceHealth
from speaker.daemon.reporting import Reporter
from speaker.metrics import Metrics
from speaker.model.objects import Kind, ObjectRef
from speaker.model.peer import SessionState
from speaker.model.prefix import Prefix
from speaker.model.publication import Exclusion, ExclusionReason, Publication
from speaker.model.route import PathAttributes, Route
from speaker.routing.outcome import Outcome, OutcomeChange

POD = ObjectRef(Kind.POD, "default", "web")
PREFIX = ip_network("10.16.0.5/32")
ROUTE = Route(PREFIX, ip_address("172.30.1.2"), PathAttributes())


class Told:
    """Keeps the Events that were asked for."""

    def __init__(self) -> None:
        self.exclusions: list[tuple[Exclusion, str]] = []

    def exclusion(self, exclusion: Exclusion, sentence: str) -> None:
        self.exclusions.append((exclusion, sentence))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reporter(told: Told, caplog: pytest.LogCaptureFixture) -> Reporter:
    caplog.set_level(logging.INFO, "speaker.daemon")
    return Reporter(Metrics(node="node1"), told)


def published(why: str = "Pod annotated cluster") -> Outcome:
    return Outcome(publications=(Publication(prefix=PREFIX, source=POD, why=why),))


def excluded(reason: ExclusionReason) -> Outcome:
    return Outcome(exclusions=(Exclusion(source=POD, reason=reason, prefix=PREFIX),))


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Message, prefix and reason of every line."""
    return [
        (record.message, getattr(record, "prefix", ""), getattr(record, "reason", ""))
        for record in caplog.records
    ]


def fields(record: logging.LogRecord, *names: str) -> list[object]:
    """Values that were logged beside the message."""
    return [vars(record)[name] for name in names]


def test_an_advertised_route_is_told_with_who_asked_and_why(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.outcomes_changed([OutcomeChange(POD, None, published())])
    reporter.routes_changed({"tor": {PREFIX: ROUTE}})
    reporter.flush()

    (record,) = caplog.records
    assert record.message == "advertise"
    assert fields(record, "peer", "next_hop") == ["tor", "172.30.1.2"]
    assert fields(record, "object", "reason") == [str(POD), "Pod annotated cluster"]


def test_a_withdrawn_route_is_told_with_the_reason(
    reporter: Reporter, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    after = excluded(ExclusionReason.NO_USABLE_ENDPOINT)
    reporter.outcomes_changed([OutcomeChange(POD, published(), after)])
    reporter.routes_changed({"tor": {PREFIX: None}})
    reporter.flush()

    messages = [message for message, _, _ in lines(caplog)]
    assert messages == ["excluded", "withdraw"]
    assert "endpoint" in str(fields(caplog.records[1], "reason"))
    assert [exclusion.reason for exclusion, _ in told.exclusions] == [ExclusionReason.NO_USABLE_ENDPOINT]


def test_a_cause_is_not_remembered_beyond_the_change(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.outcomes_changed([OutcomeChange(POD, None, published())])
    reporter.routes_changed({"tor": {PREFIX: ROUTE}})
    reporter.settled()
    reporter.routes_changed({"tor": {PREFIX: ROUTE}})
    reporter.flush()

    assert [reason for _, _, reason in lines(caplog)] == [
        "Pod annotated cluster",
        "its next hop or attributes changed",
    ]


async def test_many_lines_are_written_in_slices(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand lines at once would delay a KEEPALIVE."""
    network = IPv4Network("10.16.0.0/24")
    prefixes: list[Prefix] = list(network.subnets(new_prefix=32))
    reporter.routes_changed({"tor": dict.fromkeys(prefixes)})
    running = asyncio.create_task(reporter.run())
    counts = set()

    while len(caplog.records) < len(prefixes):
        await asyncio.sleep(0)
        counts.add(len(caplog.records))

    running.cancel()
    assert len(counts) >= 3


def test_the_trouble_of_a_source_is_told_once(reporter: Reporter, caplog: pytest.LogCaptureFixture) -> None:
    failing = SourceHealth(name="pods", synced=True, error="the API server cannot be reached")
    for health in (
        SourceHealth(name="pods", synced=True),
        failing,
        failing,
        SourceHealth(name="pods", synced=True),
    ):
        reporter.source_changed(health)

    assert [message for message, _, _ in lines(caplog)] == [
        "source is in sync",
        "source failed",
        "source is in sync",
    ]


def test_a_session_that_closes_is_a_warning_with_its_reason(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    event = SessionEvent(
        kind=SessionEventKind.CLOSED,
        peer="tor",
        old=SessionState.ESTABLISHED,
        new=SessionState.IDLE,
        reason="peer closed the connection",
    )
    reporter.session_event(event)

    (record,) = caplog.records
    assert (record.levelname, record.message) == ("WARNING", "session closed")
    assert fields(record, "reason") == ["peer closed the connection"]
