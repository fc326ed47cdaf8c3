"""What is known of one resource, and the differences that the API server's answers make.

Holds versions, and the views themselves only where the source asks for a comparison. Knows nothing of
requests: `reflector` feeds it. Between `begin` and `end` a whole reading is under way, after which
whatever was not seen is gone; nothing else makes an object gone but its own DELETED event.
"""

import logging
import sys
from typing import NamedTuple

import msgspec

from speaker.cluster import wire
from speaker.cluster.sources import Source
from speaker.cluster.translate import Translator
from speaker.model.objects import Change, ObjectRef, PodView, View

_bare = msgspec.json.Decoder(wire.Object)
_log = logging.getLogger(__name__)


class Known(NamedTuple):
    """What is remembered of an object. `node_name` is a Pod's, "" for every other kind."""

    uid: str
    resource_version: str
    node_name: str


class Taken(NamedTuple):
    """One object taken: its resourceVersion, and what it changes (None when it was known already)."""

    resource_version: str
    change: Change | None


class Inventory:
    """The objects of one source.

    Args:
        source: what they are.
        translator: makes the views.
    """

    def __init__(self, source: Source, translator: Translator) -> None:
        self._source = source
        self._translator = translator
        self._known: dict[ObjectRef, Known] = {}
        self._views: dict[ObjectRef, View] = {}
        self._seen: set[ObjectRef] | None = None

    def __len__(self) -> int:
        return len(self._known)

    def known(self, ref: ObjectRef) -> Known | None:
        """What is remembered of an object; None when there is no such object."""
        return self._known.get(ref)

    @property
    def is_reading(self) -> bool:
        """Whether a whole reading is under way."""
        return self._seen is not None

    def begin(self) -> None:
        """A whole reading starts; one that was broken off is forgotten."""
        self._seen = set()

    def end(self) -> list[Change]:
        """The whole reading is complete: what it did not hold is gone."""
        gone = [ref for ref in self._known if self._seen is not None and ref not in self._seen]
        self._seen = None
        return [Change(ref, None) for ref in gone if self._forget(ref)]

    def stored(self, raw: msgspec.Raw | bytes) -> Taken:
        """Take an object that exists; raises `msgspec.MsgspecError` for JSON that is no object."""
        try:
            metadata, view = self._source.decode(self._translator, raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            metadata, view = _bare.decode(raw).metadata, None
            _log.warning(
                "object cannot be read",
                extra={"object": str(self._ref(metadata)), "reason": str(error)},
            )
        ref = self._ref(metadata) if view is None else view.meta.ref
        if self._seen is not None:
            self._seen.add(ref)
        before = self._known.get(ref)
        if before is not None and before[:2] == (metadata.uid, metadata.resourceVersion):
            return Taken(metadata.resourceVersion, None)
        node_name = view.node_name if isinstance(view, PodView) else ""
        self._known[ref] = Known(metadata.uid, metadata.resourceVersion, node_name)
        # An object without a usable value is absent to whoever decides, though it is there.
        change = Change(ref, view) if self._is_news(ref, view) else None
        return Taken(metadata.resourceVersion, change)

    def _is_news(self, ref: ObjectRef, view: View | None) -> bool:
        if view is None and self._source.keeps_last:
            return False
        if not self._source.compared:
            return True
        if self._views.get(ref) == view:
            return False
        if view is None:
            del self._views[ref]
        else:
            self._views[ref] = view
        return True

    def removed(self, raw: msgspec.Raw | bytes) -> Taken:
        """Take the last state of an object that is gone; raises as `stored`."""
        metadata = _bare.decode(raw).metadata
        ref = self._ref(metadata)
        if self._seen is not None:
            self._seen.discard(ref)
        return Taken(metadata.resourceVersion, Change(ref, None) if self._forget(ref) else None)

    def _forget(self, ref: ObjectRef) -> bool:
        """Whether somebody has been told of the object, and is to be told that it is gone."""
        was_known = self._known.pop(ref, None) is not None
        was_told = self._views.pop(ref, None) is not None
        return was_told if self._source.compared else was_known

    def _ref(self, metadata: wire.Metadata) -> ObjectRef:
        return ObjectRef(self._source.kind, sys.intern(metadata.namespace), metadata.name)
