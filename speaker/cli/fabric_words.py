"""What `speaker fabric status` says: plan, reports and resources as plain values, for text and JSON.

Knows what people need of each; must not know where it was read. Pure. In text long lists are cut, and
what is cut is counted; JSON has all of it.
"""

from collections.abc import Iterable, Iterator, Mapping

from speaker.cli.cluster_reading import FabricView
from speaker.fabric.design import Plan
from speaker.fabric.report import NodeReport, SessionReport, Unreachable
from speaker.model.objects import Kind
from speaker.model.peer import SessionState

Json = dict[str, object]

MOST_ROWS = 50
"""So many rows of a list stand in text."""

LAST_GOOD = "speakers go on with what it said before; it is left out here"
"""One look sees a resource as it stands, and not what it was."""


# -- status --------------------------------------------------------------------------------------------


def status_answer(view: FabricView) -> Json:
    """Every Node that runs a speaker, what is wrong with resources, and what threatens the fabric."""
    plan = view.plan()
    reports = _present(plan, view.reports)
    return {
        "nodes": [_node_row(plan, name, reports.get(name)) for name in plan.whole.speakers],
        "not_established": [
            row for report in reports.values() for row in _down(report) if report.node in plan.whole.speakers
        ],
        "retiring": [row for report in reports.values() for row in _retiring(report)],
        "held_back": [
            {"node": report.node, "peer": each.peer, "ready": each.held.ready, "reason": each.held.reason}
            for report in reports.values()
            for each in report.demotions
        ],
        "withheld": [row for report in reports.values() for row in _withheld(plan, report)],
        "resources": list(_resources(view, plan)),
        "without_report": [name for name in plan.whole.speakers if name not in reports],
        "warnings": list(plan.warnings),
    }


def _present(plan: Plan, reports: Mapping[str, NodeReport]) -> dict[str, NodeReport]:
    """The reports of Nodes that run a speaker, by name: those of Nodes that are gone say nothing."""
    return {name: reports[name] for name in plan.whole.speakers if name in reports}


def _node_row(plan: Plan, name: str, report: NodeReport | None) -> Json:
    node = plan.whole.speakers[name]
    row: Json = {
        "node": name,
        "as": plan.whole.as_number(name),
        "router_id": None if node.router_id is None else str(node.router_id),
        "cluster_id": str(node.cluster_id) if name in plan.whole.reflectors else None,
        "sessions": None,
        "of_which": [],
        "settled": None,
        "learned": None,
        "installed": None,
        "conflicts": None,
    }
    if report is None:
        return row
    return row | {
        "as": report.as_number or row["as"],
        "router_id": str(report.router_id) if report.router_id else row["router_id"],
        "cluster_id": str(report.cluster_id) if report.cluster_id else None,
        "sessions": _count(report.sessions, report),
        "of_which": _by_origin(report),
        "settled": report.settled,
        "learned": report.learned,
        "installed": report.installed,
        "conflicts": report.conflicts,
    }


def _count(sessions: Iterable[SessionReport], report: NodeReport) -> str:
    """Established and all; what a list has no room for is established, for the others come first."""
    states = [session.state is SessionState.ESTABLISHED for session in sessions]
    unlisted = max(report.session_count - len(report.sessions), 0)
    return f"{sum(states) + unlisted}/{len(states) + unlisted}"


def _by_origin(report: NodeReport) -> list[str]:
    """How many of each origin: the mesh, reflectors, each BGPPeer, what retires, and the flags'."""
    found: dict[str, list[bool]] = {}
    for session in report.sessions:
        origin = "retiring" if session.retiring is not None else session.origin or "flags"
        found.setdefault(origin, []).append(session.state is SessionState.ESTABLISHED)
    told = [f"{origin} {sum(states)}/{len(states)}" for origin, states in sorted(found.items())]
    unlisted = report.session_count - len(report.sessions)
    return [*told, f"{unlisted} more that are established"] if unlisted > 0 else told


def _down(report: NodeReport) -> Iterator[Json]:
    for session in report.sessions:
        if session.state is not SessionState.ESTABLISHED:
            yield {
                "node": report.node,
                "peer": session.peer,
                "origin": session.origin,
                "state": str(session.state),
                "last_error": session.last_error,
            }


def _retiring(report: NodeReport) -> Iterator[Json]:
    for session in report.sessions:
        if session.retiring is not None:
            yield {
                "node": report.node,
                "peer": session.peer,
                "ready": session.retiring.ready,
                "since_at": session.retiring.since,
                "reason": session.retiring.reason,
            }


def _withheld(plan: Plan, report: NodeReport) -> Iterator[Json]:
    """Sessions with a password that a speaker has not got, though it sees what is seen here."""
    if not report.lists_all_sessions or report.fingerprint != plan.fingerprint:
        return
    whole = plan.whole
    asked = {str(each): terms.password for each, terms in whole.routers(report.node).items()}
    for name, link in whole.links(report.node).items():
        own = None if link.terms is None else link.terms.password
        asked[name] = own or whole.configuration.node_mesh_password
    for peer, ref in asked.items():
        if ref is not None and report.session(peer) is None:
            reason = (
                f"its speaker has no key {ref.key} of Secret {ref.name}: it is not there, or not permitted"
            )
            yield {"node": report.node, "peer": peer, "reason": reason}


def _resources(view: FabricView, plan: Plan) -> Iterator[Json]:
    """Resources that do not count as they stand, and annotations that are not understood."""
    for ref, problems in sorted(view.resources.problems.items()):
        for problem in problems:
            yield {"object": str(ref), "problem": problem, "so": LAST_GOOD}
    for name, sentence in sorted(plan.conflicts.items()):
        yield {"object": f"{Kind.BGP_PEER} {name}", "problem": sentence, "so": "the older one counts"}
    for name, missing in sorted(view.resources.missing_filters.items()):
        for each in missing:
            problem = f"the BGPFilter {each} is not there"
            yield {"object": f"{Kind.BGP_PEER} {name}", "problem": problem, "so": "it filters nothing"}
    for name, node in sorted(view.nodes.items()):
        for problem in node.problems:
            yield {"object": f"{Kind.NODE} {name}", "problem": problem, "so": "it counts as not written"}


def sessions_answer(view: FabricView, name: str) -> Json:
    """All sessions of one Node."""
    plan = view.plan()
    report = view.reports.get(name)
    answer = _node_row(plan, name, report) if name in plan.whole.speakers else {"node": name}
    answer.pop("of_which", None)
    if report is None:
        return answer | {"reported": False}
    return answer | {
        "reported": True,
        "same_design": report.fingerprint == plan.fingerprint,
        "peers": [_session_row(session) for session in sorted(report.sessions, key=lambda each: each.peer)],
        "unlisted": max(report.session_count - len(report.sessions), 0),
        "unreachable": [told(each) for each in report.unreachable],
        "unreachable_count": report.unreachable_count,
    }


def _session_row(session: SessionReport) -> Json:
    return {
        "peer": session.peer,
        "address": None if session.address is None else str(session.address),
        "as": session.as_number,
        "origin": session.origin,
        "state": str(session.state),
        "since_at": session.since,
        "received": session.received,
        "advertised": session.advertised,
        "end_of_rib": session.end_of_rib,
        "waits_for": None if session.retiring is None else session.retiring.reason,
        "last_error": session.last_error,
    }


def told(unreachable: Unreachable) -> Json:
    """A Node that has no route to another, as that Node says."""
    return {"to": unreachable.node, "prefixes": [str(each) for each in unreachable.prefixes]}


# -- cutting -------------------------------------------------------------------------------------------


def shortened(answer: Mapping[str, object], most: int = MOST_ROWS) -> Json:
    """The answer with long lists cut to `most`, and how many rows more there are.

    Nodes with something to tell come before those with nothing.
    """
    short: Json = {}
    for key, value in answer.items():
        if not isinstance(value, list) or len(value) <= most:
            short[key] = value
            continue
        rows = sorted(value, key=_is_quiet) if key == "nodes" else value
        short[key] = rows[:most]
        short[f"{key}_not_shown"] = f"and {len(value) - most} more"
    return short


def _is_quiet(row: Mapping[str, object]) -> bool:
    up, _, total = str(row["sessions"]).partition("/")
    return row["settled"] is True and up == total and not row["conflicts"]


def without(answer: Mapping[str, object], *keys: str) -> Json:
    """The answer without these keys: lists that are empty say nothing to people."""
    return {key: value for key, value in answer.items() if key not in keys or value not in ([], 0)}
