"""`speaker fabric status` and `speaker fabric check`: the whole fabric, from anywhere.

Reads the Nodes, the resources and the reports of the speakers once, and changes nothing. What is said
about them is put together in `fabric_words` and `check_words`; here it is asked for and shown.
"""

import json
from collections.abc import Mapping

import click

from annotations.problems import bounded
from speaker import log
from speaker.cli.cluster_reading import FabricView, cluster_options, read_cluster, where_of
from speaker.cli.tables import render
from speaker.errors import UsageError

_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to show the answer; JSON has long lists whole.",
)


@click.group()
def fabric() -> None:
    """Show the fabric as a whole: who peers with whom, and who reaches whom.

    Reads Nodes, resources and reports from the API server, wherever there is a kubeconfig.
    """


@fabric.command()
@click.option("--node", metavar="<name>", help="Show all sessions of this Node.")
@_OUTPUT
@cluster_options
def status(node: str | None, output: str, **parameters: object) -> None:
    """Show each Node's sessions and routes, what retires and why, and what is wrong with resources.

    A Node's SESSIONS are those established and all of them, by why they are there.
    """
    view = _read(parameters)
    from speaker.cli import fabric_words as words  # noqa: PLC0415

    if node is not None:
        if node not in view.nodes and node not in view.reports:
            raise UsageError(f"--node={bounded(node)}: there is no such Node")
        _show(words.sessions_answer(view, node), output)
        return
    answer = words.status_answer(view)
    if output == "text":
        answer = words.without(words.shortened(answer), *(key for key in answer if key != "nodes"))
    _show(answer, output)


@fabric.command("check")
@_OUTPUT
@cluster_options
def check(output: str, **parameters: object) -> int:
    """Check that every Node reaches every other Node's Pods, and what one failure would cut.

    By the design, by the sessions that Nodes report, and by their own tables. Ends with 1 when any Node
    lacks a route to another; warnings, and what a failure would cut, alone end with 0.
    """
    view = _read(parameters)
    from speaker.cli import check_words, fabric_words  # noqa: PLC0415

    plan = view.plan()
    designed, found = check_words.verdicts(plan, view.reports)
    answer = check_words.check_answer(plan, designed, found)
    if output == "json":
        _show(answer, output)
    else:
        said = ("well", "conclusion")
        shown = {key: value for key, value in answer.items() if key not in said}
        _show(fabric_words.without(fabric_words.shortened(shown), *shown), output)
        click.echo(f"\n{answer['conclusion']}")
    return 0 if answer["well"] else 1


def _read(parameters: dict[str, object]) -> FabricView:
    where = where_of(parameters)
    log.configure("error", "text")
    return read_cluster(where)


def _show(answer: Mapping[str, object], output: str) -> None:
    click.echo(json.dumps(answer, indent=2) if output == "json" else render(answer))
