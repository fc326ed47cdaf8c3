"""The custom resources that count: of each the last value that was right.

Knows which resources there are and what was wrong with them; must not know what their fields mean. A bad
resource changes nothing that runs: what it said before goes on counting until it is mended or gone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from speaker.fabric.reading import DEFAULT_NAME, ResourceError, read_configuration, read_filter, read_peer
from speaker.model.fabric import BgpConfiguration, BgpFilter, BgpPeer, SecretKeyRef
from speaker.model.objects import Change, Kind, ObjectRef, ResourceView

Value = BgpConfiguration | BgpPeer | BgpFilter

_READERS: Mapping[Kind, Callable[[ResourceView], Value]] = {
    Kind.BGP_CONFIGURATION: read_configuration,
    Kind.BGP_PEER: read_peer,
    Kind.BGP_FILTER: read_filter,
}

NO_CONFIGURATION = BgpConfiguration()
"""What holds where there is no BGPConfiguration: no mesh, AS 64512."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One resource: as it stands, what counts of it, and what is wrong with it."""

    view: ResourceView
    value: Value | None
    problems: tuple[str, ...]


class ResourceBook:
    """All resources, kept up to date change by change."""

    def __init__(self) -> None:
        self._entries: dict[ObjectRef, _Entry] = {}

    def apply(self, changes: Iterable[Change]) -> bool:
        """Take over changes; other kinds are passed over. Returns whether what counts has changed."""
        changed = False
        for change in changes:
            reader = _READERS.get(change.ref.kind)
            if reader is not None:
                changed |= self._take(change, reader)
        return changed

    @property
    def configuration(self) -> BgpConfiguration:
        """The BGPConfiguration `default`; the defaults of its fields where there is none."""
        entry = self._entries.get(ObjectRef(Kind.BGP_CONFIGURATION, "", DEFAULT_NAME))
        value = None if entry is None else entry.value
        return value if isinstance(value, BgpConfiguration) else NO_CONFIGURATION

    @property
    def peers(self) -> tuple[BgpPeer, ...]:
        """The BGPPeers, by name."""
        found = (entry.value for entry in self._entries.values())
        return tuple(sorted((v for v in found if isinstance(v, BgpPeer)), key=lambda peer: peer.name))

    @property
    def filters(self) -> Mapping[str, BgpFilter]:
        """The BGPFilters by name."""
        found = (entry.value for entry in self._entries.values())
        return {value.name: value for value in found if isinstance(value, BgpFilter)}

    @property
    def problems(self) -> Mapping[ObjectRef, tuple[str, ...]]:
        """What is wrong with resources as they stand, a sentence each; those that are right are not here."""
        return {ref: entry.problems for ref, entry in self._entries.items() if entry.problems}

    @property
    def missing_filters(self) -> Mapping[str, tuple[str, ...]]:
        """The filters that a BGPPeer names and that are not there, by the name of the BGPPeer."""
        filters = self.filters
        found = {
            peer.name: tuple(name for name in peer.filters if name not in filters) for peer in self.peers
        }
        return {name: missing for name, missing in found.items() if missing}

    @property
    def views(self) -> Mapping[ObjectRef, ResourceView]:
        """The resources as they stand: `generation`, `status` and identity of each."""
        return MappingProxyType({ref: entry.view for ref, entry in self._entries.items()})

    def secrets(self) -> frozenset[SecretKeyRef]:
        """The passwords that any of them asks for."""
        wanted = {self.configuration.node_mesh_password, *(peer.password for peer in self.peers)}
        return frozenset(ref for ref in wanted if ref is not None)

    def _take(self, change: Change, reader: Callable[[ResourceView], Value]) -> bool:
        before = self._entries.get(change.ref)
        if not isinstance(change.view, ResourceView):
            self._entries.pop(change.ref, None)
            return before is not None and before.value is not None
        # Another uid is another object: what one of the same name said before is no part of it.
        same = before is not None and before.view.meta.uid == change.view.meta.uid
        if before is not None and same and before.view.spec == change.view.spec:
            self._entries[change.ref] = _Entry(change.view, before.value, before.problems)
            return False
        last_good = before.value if before is not None else None
        entry = _read(change.view, reader, last_good if same else None)
        self._entries[change.ref] = entry
        return entry.value != last_good


def _read(view: ResourceView, reader: Callable[[ResourceView], Value], last_good: Value | None) -> _Entry:
    try:
        return _Entry(view, reader(view), ())
    except ResourceError as error:
        return _Entry(view, last_good, tuple(str(problem) for problem in error.problems))
