"""An Event as the API wants it (core/v1): its name, its first form and its later counts. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from speaker import __version__
from speaker.cluster.sources import API_VERSIONS
from speaker.model.objects import ObjectRef

LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Event:
    """A Warning: what it is about, a reason in CamelCase and a sentence."""

    ref: ObjectRef
    reason: str
    message: str

    @property
    def namespace(self) -> str:
        """Where it lives: with its object, or in `default` when that has no namespace."""
        return self.ref.namespace or "default"


def name_of(event: Event, uid: str) -> str:
    """Follows from the content alone, so that every speaker gives the same Event the same name."""
    text = "\0".join((str(event.ref), uid, event.reason, event.message))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    # A name ends in a letter or a digit before each dot, wherever it is cut.
    stem = event.ref.name[: LONGEST_NAME - len(digest) - 1].rstrip("-.")
    return f"{stem}.{digest}"


def created(event: Event, uid: str, node_name: str, count: int, now: float) -> dict[str, object]:
    """The Event to create.

    Args:
        event: what to tell.
        uid: the object's.
        node_name: whose speaker tells it.
        count: how often it has happened.
        now: seconds since the epoch.
    """
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name_of(event, uid), "namespace": event.namespace},
        "involvedObject": {
            "apiVersion": API_VERSIONS[event.ref.kind],
            "kind": event.ref.kind.value,
            "namespace": event.ref.namespace,
            "name": event.ref.name,
            "uid": uid,
        },
        "type": "Warning",
        "reason": event.reason,
        "message": event.message,
        "source": {"component": f"kube-route-speaker/{__version__}", "host": node_name},
        "firstTimestamp": _moment(now),
        "lastTimestamp": _moment(now),
        "count": count,
    }


def again(count: int, now: float) -> dict[str, object]:
    """The merge patch for an Event that has happened again."""
    return {"count": count, "lastTimestamp": _moment(now)}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
