"""Short ways to ask what becomes of an object."""

from collections.abc import Iterable
from typing import Any

from speaker.model.objects import ObjectRef, View
from speaker.model.policy import HostView
from speaker.model.prefix import Prefix
from speaker.model.publication import ExclusionReason
from speaker.routing.outcome import Outcome
from speaker.routing.reconcile import reconcile
from tests import builders


def decide(of: ObjectRef, *views: View, host: HostView | None = None, **flags: Any) -> Outcome | None:
    """The outcome of `of` among `views` on node-1, with a peer that hears everything."""
    return reconcile(builders.policy(**flags), host or builders.host(), views).outcomes.get(of)


def published(outcome: Outcome | None) -> set[str]:
    """The prefixes that are published."""
    return {str(each.prefix) for each in outcome.publications} if outcome else set()


def excluded(outcome: Outcome | None) -> dict[str | None, ExclusionReason]:
    """The reason for each prefix that is not; None stands for the whole object."""
    if outcome is None:
        return {}
    return {str(each.prefix) if each.prefix else None: each.reason for each in outcome.exclusions}


def notes(outcome: Outcome | None) -> list[ExclusionReason]:
    """The reasons of the notes."""
    return [each.reason for each in outcome.notes] if outcome else []


def texts(prefixes: Iterable[Prefix]) -> set[str]:
    """Prefixes as people write them."""
    return {str(prefix) for prefix in prefixes}
