"""What the control socket answers about the fabric: what was learned, what is held back, and why."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from annotations.problems import bounded
from speaker.daemon.fabric import Fabric
from speaker.daemon.learning import Learning
from speaker.daemon.session_words import Json
from speaker.errors import UsageError
from speaker.fabric.transition import Retirement
from speaker.model.prefix import Prefix
from speaker.routing.decision import RULE_SENTENCES

MOST_PREFIXES = 20_000
"""How many prefixes one answer holds: more are asked for one by one."""


def fabric_answer(fabric: Fabric, learning: Learning) -> Json:
    """The fabric as `speaker status` shows it."""
    design, step, fib = fabric.design, fabric.step, learning.fib_status
    return {
        "reflects": design.reflects,
        "settled": step.settled,
        "note": fabric.asks_for_nothing,
        "learned": learning.learned,
        "kernel": {
            "wanted": fib.wanted,
            "installed": fib.installed,
            "conflicts": {str(prefix): owner for prefix, owner in fib.conflicts.items()},
            "refused": {str(prefix): reason for prefix, reason in fib.refused.items()},
            "problems": list(fib.problems),
        },
        "retiring": list(_held(step.retiring)),
        "held_back": list(_held(step.demotions)),
        "withheld": [{"peer": peer, "reason": reason} for peer, reason in design.withheld.items()],
        "resources": [
            {"object": str(ref), "problem": problem}
            for ref, problems in fabric.resources.problems.items()
            for problem in problems
        ],
        "warnings": list(design.warnings),
    }


def _held(held: Mapping[str, Retirement]) -> Iterator[Json]:
    for peer, each in held.items():
        yield {"peer": peer, "ready": each.ready, "reason": each.reason}


def learned_answer(learning: Learning, request: Mapping[str, object]) -> Json:
    """Every path to one prefix, or the chosen paths to all of them; raises UsageError."""
    text = request.get("prefix")
    if text is not None:
        return {"paths": list(_paths(learning, _prefix(text), every=True))}
    prefixes = learning.prefixes[:MOST_PREFIXES]
    return {"paths": [path for prefix in prefixes for path in _paths(learning, prefix, every=False)]}


def _prefix(text: object) -> Prefix:
    try:
        return ip_network(str(text))
    except ValueError:
        raise UsageError(f"{bounded(str(text))} is no prefix; write one such as 10.244.1.0/24") from None


def _paths(learning: Learning, prefix: Prefix, *, every: bool) -> Iterator[Json]:
    for candidate in learning.paths(prefix):
        if not every and not candidate.is_chosen:
            continue
        answer: Json = {
            "prefix": str(prefix),
            "next_hop": str(candidate.route.next_hop),
            "peer": candidate.peer,
            "rule": candidate.rule.value,
        }
        yield answer | ({"because": RULE_SENTENCES[candidate.rule]} if every else {})
