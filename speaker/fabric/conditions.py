"""The `status` of BGPConfiguration, BGPPeer and BGPFilter: conditions, and how many sessions stand.

Knows what was found out about each resource; must not know who finds it out or writes it. Conditions
follow the Kubernetes API: the time of the last transition stays while `status` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from annotations.problems import bounded
from speaker.fabric.report import NodeReport, SessionReport, time_text
from speaker.model.peer import SessionState

LONGEST_MESSAGE = 1024
CONFLICT = "Conflict"
ACCEPTED = "Accepted"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        type: "Accepted" or "Conflict".
        holds: its `status`: True or False.
        reason: one word in CamelCase.
        message: a sentence for people, or "".
    """

    type: str
    holds: bool
    reason: str
    message: str = ""


def accepted(problems: Sequence[str], notes: Sequence[str] = ()) -> Condition:
    """Whether a resource counts as it stands.

    Args:
        problems: what is wrong with it; none when it was accepted.
        notes: what to know of one that was accepted, such as a filter that is not there.
    """
    if problems:
        return Condition(ACCEPTED, False, "Invalid", _message(problems))
    return Condition(ACCEPTED, True, "Incomplete" if notes else "Valid", _message(notes))


def conflict(sentence: str) -> Condition:
    """Whether an older BGPPeer says something else of the same sessions; "" when none does."""
    return Condition(CONFLICT, bool(sentence), "OlderBGPPeer" if sentence else "None", _message([sentence]))


def resource_status(
    conditions: Iterable[Condition], *, generation: int, before: Mapping[str, object], now: float
) -> dict[str, object]:
    """`status` of a resource.

    Args:
        conditions: what holds of it.
        generation: of what was looked at.
        before: its `status` as it stands, for the times of the last transitions.
        now: seconds since the epoch.
    """
    times = _transition_times(before)
    return {
        "observedGeneration": generation,
        "conditions": [
            {
                "type": each.type,
                "status": str(each.holds),
                "reason": each.reason,
                "message": each.message,
                "observedGeneration": generation,
                "lastTransitionTime": times.get((each.type, str(each.holds)), time_text(now)),
            }
            for each in conditions
        ],
    }


def established(peer: str, reports: Iterable[NodeReport]) -> tuple[int, int]:
    """How many sessions of a BGPPeer are established, and how many there are, as the Nodes report.

    A session between two Nodes counts at each end, and is established when no end says that it is not:
    the report of a speaker that has died says what was.
    """
    by_node = {report.node: report for report in reports}
    origin = f"BGPPeer {peer}"
    ends = [
        (session, by_node[session.node].session(node) if session.node in by_node else None)
        for node, report in by_node.items()
        for session in report.sessions
        if session.origin == origin and session.retiring is None
    ]
    return sum(_is_up(here) and (there is None or _is_up(there)) for here, there in ends), len(ends)


def _is_up(session: SessionReport) -> bool:
    return session.state is SessionState.ESTABLISHED


def session_counts(up: int, total: int) -> dict[str, object]:
    """What the `status` of a BGPPeer says of its sessions, beside its conditions."""
    return {"established": f"{up}/{total}", "sessions": total}


def _message(sentences: Sequence[str]) -> str:
    return bounded("; ".join(sentences), LONGEST_MESSAGE)


def _transition_times(before: Mapping[str, object]) -> dict[tuple[str, str], str]:
    """When each condition came to the status that it has; anything may stand in the API."""
    found: dict[tuple[str, str], str] = {}
    conditions = before.get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if not isinstance(each, Mapping):
            continue
        kind, status, time = each.get("type"), each.get("status"), each.get("lastTransitionTime")
        if isinstance(kind, str) and isinstance(status, str) and isinstance(time, str):
            found[kind, status] = time
    return found
