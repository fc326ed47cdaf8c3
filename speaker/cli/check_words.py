"""What `speaker fabric check` says: the verdicts as plain values, for text and JSON, and in a sentence.

Knows what people need of a verdict; must not know how it was come by, which is `speaker.fabric.check`. Pure.
"""

from collections.abc import Mapping

from speaker.cli.fabric_words import Json, told
from speaker.fabric.check import Failure, Pair, Verdict, check
from speaker.fabric.design import Plan
from speaker.fabric.report import NodeReport


def verdicts(plan: Plan, reports: Mapping[str, NodeReport]) -> tuple[Verdict, Verdict]:
    """The state of the fabric by the design alone, and as it is."""
    return check(plan), check(plan, reports)


def check_answer(plan: Plan, designed: Verdict, found: Verdict) -> Json:
    """What the two verdicts say; `well` is the outcome, `conclusion` says it in a sentence."""
    return {
        "well": is_well(plan, designed, found),
        "conclusion": conclusion(plan, designed, found),
        "nodes": found.nodes,
        "unreachable_by_design": [_pair(each) for each in designed.unreachable],
        "unreachable_by_design_count": designed.unreachable_count,
        "unreachable_by_sessions": [_pair(each) for each in found.unreachable],
        "unreachable_by_sessions_count": found.unreachable_count,
        "unreachable_by_tables": [
            {"node": name, **told(each)} for name, some in found.told.items() for each in some
        ],
        "unreachable_by_tables_count": found.told_count,
        "single_failures": [_failure(each) for each in found.failures],
        "without_report": list(found.silent),
        "unsettled": list(found.unsettled),
        "other_design": list(found.differing),
        "warnings": list(found.warnings),
    }


def is_well(plan: Plan, designed: Verdict, found: Verdict) -> bool:
    """Whether every Node reaches every other, and there is anything to judge by."""
    return designed.is_well and found.is_well and _has_pod_cidrs(plan)


def _has_pod_cidrs(plan: Plan) -> bool:
    return any(node.pod_cidrs for node in plan.whole.speakers.values())


def conclusion(plan: Plan, designed: Verdict, found: Verdict) -> str:
    """The outcome in a sentence: the first thing that is wrong, the deepest first."""
    wrong = (
        (not found.nodes, "No Node runs a speaker: none carries the label that chooses them."),
        (not _has_pod_cidrs(plan), "Nothing can be said: no Node has Pod CIDRs that are known."),
        (designed.unreachable_count, "The design itself leaves {} without a route."),
        (found.unreachable_count, "As the sessions stand, {} without a route."),
        (found.told_count, "By the tables of the Nodes themselves, {} without a route."),
    )
    for count, sentence in wrong:
        if count:
            return sentence.format(_pairs(count))
    reach = "Every Node reaches every other Node's Pods"
    if found.silent:
        told = found.nodes - len(found.silent)
        return f"{reach} by the design; {told} of {found.nodes} Nodes have reported."
    return f"{reach}."


def _pairs(count: int) -> str:
    return "1 pair of Nodes" if count == 1 else f"{count} pairs of Nodes"


def _pair(pair: Pair) -> Json:
    return {"node": pair.source, "to": pair.target, "family": str(pair.family)}


def _failure(failure: Failure) -> Json:
    return {
        "failure_of": failure.name,
        "kind": failure.kind,
        "cuts_pairs": failure.cut,
        "such_as": [f"{each.source} to {each.target} ({each.family})" for each in failure.examples],
    }
