"""The whole fabric as a person's command sees it: from the live cluster, or from manifests.

Knows the flags that say where the cluster is and how its Nodes are read, and the kinds that matter. What
follows from what is read is `speaker.fabric`'s to know.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from annotations.keys import DEFAULT_PREFIX
from annotations.problems import bounded
from speaker.errors import UsageError
from speaker.fabric.design import Plan
from speaker.fabric.nodes import NodeBook
from speaker.fabric.report import NodeReport, from_status
from speaker.fabric.resources import ResourceBook
from speaker.model.fabric import GROUP, FabricNode
from speaker.model.objects import Change, Kind, ResourceView
from speaker.model.policy import PodCidrSource
from speaker.model.prefix import Prefix
from speaker.settings.flag import Flag
from speaker.settings.process_flags import KUBECONFIG
from speaker.settings.publication_flags import ANNOTATION_PREFIX, NODE_LABEL, POD_CIDR_SOURCE

if TYPE_CHECKING:
    from speaker.cluster import ClusterConfig

Command = TypeVar("Command", bound=Callable[..., object])
_T = TypeVar("_T")

Label = tuple[str, str] | None

USUAL_PREFIXES = (GROUP, DEFAULT_PREFIX, "projectcalico.org")
"""What the label of speakers begins with in the overlays, that for a fabric first."""

_KINDS = frozenset(
    {Kind.NODE, Kind.IPAM_BLOCK, Kind.SUBNET, Kind.BGP_CONFIGURATION, Kind.BGP_PEER, Kind.BGP_FILTER}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where the cluster is, and how its Nodes are read, as the flags of the speakers say it.

    Attributes:
        kubeconfig: a path; None is what kubectl takes, or the Pod's ServiceAccount.
        annotation_prefix: what annotations on Subnets and the label begin with.
        node_labels: key and value of the label that chooses speakers; of several the first that any Node
            carries. None takes every Node for a speaker.
        pod_cidr_source: where Pod CIDRs are read.
    """

    kubeconfig: str | None = None
    annotation_prefix: str = DEFAULT_PREFIX
    node_labels: tuple[Label, ...] = ()
    pod_cidr_source: PodCidrSource = PodCidrSource.AUTO

    def cluster_config(self, *, reports: bool) -> "ClusterConfig":
        """What to read; raises UsageError when no cluster is named.

        Args:
            reports: also what the speakers report.
        """
        path = self.kubeconfig or _as_kubectl_does()
        if path is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise UsageError("there is no cluster to read: name one with --kubeconfig")
        # What talks to the cluster takes longer to import than `speaker --help` may run.
        from speaker.cluster import ClusterConfig  # noqa: PLC0415

        kinds = _KINDS | {Kind.BGP_NODE_STATUS} if reports else _KINDS
        return ClusterConfig(kubeconfig=path, annotation_prefix=self.annotation_prefix, only=kinds)


def _as_kubectl_does() -> str | None:
    home = Path("~/.kube/config").expanduser()
    return os.environ.get("KUBECONFIG") or (str(home) if home.is_file() else None)


# -- flags ---------------------------------------------------------------------------------------------


def cluster_options(command: Command) -> Command:
    """The flags that say where the cluster is; they come to the command as `where`, by `where_of`."""
    for flag in (POD_CIDR_SOURCE, ANNOTATION_PREFIX, NODE_LABEL, KUBECONFIG):
        option = click.option(
            f"--{flag.name}",
            envvar=flag.variable,
            metavar=f"<{flag.reader.kind}>",
            help=_HELP[flag.name],
        )
        command = option(command)
    return command


_HELP = {
    KUBECONFIG.name: "The kubeconfig file to reach the API server with; without it KUBECONFIG, ~/.kube/config"
    " or the Pod's ServiceAccount.",
    NODE_LABEL.name: "The Node label that chooses speakers, as they were given it; empty chooses every Node.",
    ANNOTATION_PREFIX.name: "What their annotations and the label begin with, as the speakers were given it;"
    f" without either flag the first of {', '.join(USUAL_PREFIXES)} that any Node is labelled with.",
    POD_CIDR_SOURCE.name: f"Where Pod CIDRs are read, as the speakers were given it."
    f" [default: {POD_CIDR_SOURCE.default}]",
}


def where_of(parameters: dict[str, object]) -> Where:
    """What the flags of `cluster_options` say; raises UsageError."""
    texts = {name: text for name, text in parameters.items() if isinstance(text, str)}
    prefix = _read(ANNOTATION_PREFIX, texts.get("annotation_prefix"))
    prefixes = (prefix,) if "annotation_prefix" in texts else USUAL_PREFIXES
    labels: tuple[Label, ...] = tuple((f"{each}/bgp", "true") for each in prefixes)
    if "node_label" in texts:
        labels = (_read(NODE_LABEL, texts["node_label"]),)
    return Where(
        kubeconfig=texts.get("kubeconfig") or None,
        annotation_prefix=prefix,
        node_labels=labels,
        pod_cidr_source=PodCidrSource(_read(POD_CIDR_SOURCE, texts.get("pod_cidr_source"))),
    )


def _read(flag: Flag[_T], text: str | None) -> _T:
    given = text if text is not None else flag.default
    try:
        return flag.reader.read([] if given is None else [given])
    except ValueError as error:
        raise UsageError(f"--{flag.name}={bounded(text or '')}: {error}") from None


# -- what is read --------------------------------------------------------------------------------------


class FabricView:
    """Everything that was read, change by change.

    Args:
        where: how Nodes are read.
    """

    def __init__(self, where: Where) -> None:
        self._books = [
            NodeBook(label=label, pod_cidr_source=where.pod_cidr_source) for label in where.node_labels
        ]
        self.resources = ResourceBook()
        self.reports: dict[str, NodeReport] = {}

    def apply(self, changes: Sequence[Change]) -> bool:
        """Take over changes; returns whether the plan may have changed."""
        changed = self.resources.apply(changes)
        for book in self._books:
            changed |= book.apply(changes)
        for change in changes:
            if change.ref.kind is not Kind.BGP_NODE_STATUS:
                continue
            if isinstance(change.view, ResourceView):
                self.reports[change.ref.name] = from_status(change.ref.name, change.view.status)
            else:
                self.reports.pop(change.ref.name, None)
        return changed

    @property
    def nodes(self) -> Mapping[str, FabricNode]:
        """Every Node by name."""
        return self._book.nodes

    @property
    def pod_ranges(self) -> tuple[Prefix, ...]:
        """What Pods' addresses lie in."""
        return self._book.pod_ranges

    @property
    def _book(self) -> NodeBook:
        """That of the first label that any Node carries."""
        labelled = (b for b in self._books if any(node.is_speaker for node in b.nodes.values()))
        return next(labelled, self._books[0])

    def plan(self) -> Plan:
        """The fabric as it is meant."""
        return Plan(self.nodes, self.resources.configuration, self.resources.peers)


def read_cluster(where: Where, *, reports: bool = True) -> FabricView:
    """The live cluster, read once; raises ClusterError, or UsageError when none is named."""
    config = where.cluster_config(reports=reports)
    import asyncio  # noqa: PLC0415

    from speaker.cluster import list_once  # noqa: PLC0415

    view = FabricView(where)
    view.apply(asyncio.run(list_once(config)))
    return view


def read_manifests(where: Where, paths: Iterable[str]) -> tuple[FabricView, list[str]]:
    """Manifests, and what in them is not understood; raises UsageError."""
    from speaker.cli.documents import read_documents  # noqa: PLC0415
    from speaker.cluster import views_from_manifest  # noqa: PLC0415

    view, problems = FabricView(where), list[str]()
    for document in read_documents(tuple(paths)):
        changes, wrong = views_from_manifest(document.content, where.annotation_prefix)
        view.apply(changes)
        problems += [f"{document.place}: {problem}" for problem in wrong]
    return view, problems
