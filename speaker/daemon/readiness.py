"""What /readyz looks at: every source in sync, and the peers."""

from collections.abc import Iterable, Iterator, Mapping

from speaker.cluster import SourceHealth
from speaker.health import Check, peer_checks
from speaker.model.peer import SessionStatus


def readiness(
    sources: Iterable[SourceHealth], sessions: Mapping[str, SessionStatus], running_seconds: float
) -> Iterator[Check]:
    """The checks of /readyz, sources first.

    A source that was in sync and fails now is told but does not fail the check: what is advertised
    stays, and a rolling upgrade of the API server must not make every speaker unready.
    """
    for health in sources:
        problem = health.error or ("" if health.synced else "not listed yet")
        yield Check(f"source {health.name}", problem, fatal=not health.synced)
    yield from peer_checks(sessions, running_seconds)
