"""`speaker plan`: shows what every node would advertise; reads, and changes nothing."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from speaker import log
from speaker.cli.options import FlagCommand, given_flags
from speaker.cli.tables import table
from speaker.errors import UsageError
from speaker.log import escaped
from speaker.model.objects import Change
from speaker.settings import Group, Settings

if TYPE_CHECKING:
    from speaker.plan import NodePlan

SHOWN_GROUPS = (Group.BGP, Group.PUBLICATION)


@click.command(cls=FlagCommand, shown=SHOWN_GROUPS)
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    metavar="<path>",
    help="Manifests: a file, a folder, or - for standard input; repeatable. Without it the live cluster is"
    " read, by --kubeconfig, KUBECONFIG, ~/.kube/config or the Pod's ServiceAccount.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to show the plan.",
)
def plan(paths: Sequence[str], output: str, **parameters: object) -> None:
    """Show what each node would advertise to each peer, and what not and why. Changes nothing.

    Takes every flag of speaker run; --node-name plans for that node alone.
    """
    # Deciding takes longer to import than `speaker --help` may run.
    from speaker import plan as planning  # noqa: PLC0415

    planner = planning.Planner(given_flags(parameters), os.environ)
    log.configure("error", planner.settings.log_format)
    changes, problems = _from_files(paths, planner.settings) if paths else _from_cluster(planner.settings)
    plans = planner.plans(changes)
    problems += planner.problems(changes)
    if output == "json":
        click.echo(json.dumps({"nodes": planning.as_document(plans), "problems": problems}, indent=2))
        return
    for problem in problems:
        click.echo(f"speaker: {escaped(problem)}", err=True)
    click.echo("\n".join(line for each in plans for line in _text(each)).rstrip())


def _from_files(paths: Sequence[str], settings: Settings) -> tuple[list[Change], list[str]]:
    """The objects in manifests, and what in them is not understood."""
    from speaker.cli.documents import read_documents  # noqa: PLC0415
    from speaker.cluster import views_from_manifest  # noqa: PLC0415

    changes: list[Change] = []
    problems: list[str] = []
    for document in read_documents(paths):
        found, wrong = views_from_manifest(document.content, settings.publication_policy().annotation_prefix)
        changes += found
        problems += [f"{document.place}: {problem}" for problem in wrong]
    return changes, problems


def _from_cluster(settings: Settings) -> tuple[list[Change], list[str]]:
    """The objects in the live cluster; raises ClusterError, or UsageError when none is named."""
    path = _kubeconfig(settings)
    if path is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        raise UsageError("nothing to plan from: name manifests with -f, or a cluster with --kubeconfig")
    import asyncio  # noqa: PLC0415

    from speaker.cluster import list_once  # noqa: PLC0415

    # The plan is for every node, so every Node and every Pod counts.
    config = replace(settings.cluster_config(), kubeconfig=path, node_name="", pods_of_node_only=False)
    return asyncio.run(list_once(config)), []


def _kubeconfig(settings: Settings) -> str | None:
    """Where kubectl would look; None where there is none, as in a Pod."""
    home = Path("~/.kube/config").expanduser()
    return settings.kubeconfig or os.environ.get("KUBECONFIG") or (str(home) if home.is_file() else None)


def _text(planned: "NodePlan") -> list[str]:
    """One node's plan as lines of text."""
    from speaker import plan as planning  # noqa: PLC0415

    lines: list[str] = []
    for peer in planned.peers:
        title = f"{planned.node} advertises to {peer.name} (AS {peer.asn})"
        lines += _section(title, planning.routes_to(planned, peer.name))
    lines += _section(f"{planned.node} does not advertise", planning.exclusions(planned))
    different = planning.notes(planned)
    return lines + (_section(f"{planned.node} does otherwise than asked", different) if different else [])


def _section(title: str, rows: Sequence[object]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in table(rows)), ""] if rows else [f"{title}: nothing", ""]
