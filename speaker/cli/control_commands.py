"""`speaker status`, `routes`, `learned` and `explain`: questions to the running speaker.

Knows how a question is put in words; how it travels is `speaker.control`'s to know, and what the answers
hold is the daemon's. Here they are only shown.
"""

import json
from collections.abc import Callable
from typing import TypeVar

import click

from annotations.problems import bounded
from speaker.cli.tables import render
from speaker.errors import UsageError
from speaker.model.objects import Kind
from speaker.settings.process_flags import CONTROL_SOCKET

Command = TypeVar("Command", bound=Callable[..., object])

_EXPLAINED = (
    Kind.POD,
    Kind.SERVICE,
    Kind.ENDPOINT_SLICE,
    Kind.NAMESPACE,
    Kind.NODE,
    Kind.SUBNET,
    Kind.IP,
    Kind.IPAM_BLOCK,
)
_KINDS = {kind.value.lower(): kind for kind in _EXPLAINED} | {
    "po": Kind.POD,
    "svc": Kind.SERVICE,
    "ns": Kind.NAMESPACE,
    "no": Kind.NODE,
}
_CLUSTER_SCOPED = frozenset({Kind.NAMESPACE, Kind.NODE, Kind.SUBNET, Kind.IP, Kind.IPAM_BLOCK})


def _common_options(command: Command) -> Command:
    """Where to ask, and how to show the answer."""
    socket_option = click.option(
        "--control-socket",
        metavar="<path>",
        default=CONTROL_SOCKET.default,
        envvar=CONTROL_SOCKET.variable,
        show_default=True,
        help="The unix socket of the running speaker.",
    )
    output_option = click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to show the answer.",
    )
    return output_option(socket_option(command))


@click.command()
@_common_options
def status(control_socket: str, output: str) -> None:
    """Show the running speaker: its sessions, its sources, what it advertises."""
    _show(ask(control_socket, {"command": "status"}), output)


@click.command()
@click.argument("peer", required=False)
@_common_options
def routes(peer: str | None, control_socket: str, output: str) -> None:
    """Show the routes that PEER, or every peer, should hear."""
    request = {"command": "routes"} | ({"peer": peer} if peer else {})
    _show(ask(control_socket, request), output)


@click.command()
@click.argument("prefix", required=False)
@_common_options
def learned(prefix: str | None, control_socket: str, output: str) -> None:
    """Show what peers teach: the paths in use, or every path to PREFIX and what decided about it."""
    request = {"command": "learned"} | ({"prefix": prefix} if prefix else {})
    _show(ask(control_socket, request), output)


@click.command()
@click.argument("kind")
@click.argument("name", metavar="[NAMESPACE/]NAME")
@_common_options
def explain(kind: str, name: str, control_socket: str, output: str) -> None:
    """Show why an object is published or not: speaker explain pod default/web."""
    _show(ask(control_socket, {"command": "explain", **object_named(kind, name)}), output)


def object_named(kind: str, name: str) -> dict[str, str]:
    """The identity that KIND and [NAMESPACE/]NAME describe; raises UsageError."""
    lowered = kind.lower()
    found = _KINDS.get(lowered) or _KINDS.get(lowered.removesuffix("s"))
    if found is None:
        known = ", ".join(kind.value for kind in _EXPLAINED)
        raise UsageError(f"there is no kind {bounded(kind)}; write {known}")
    scoped = found in _CLUSTER_SCOPED
    namespace, slash, bare = name.rpartition("/")
    if not bare or "/" in namespace or (slash and (scoped or not namespace)):
        raise UsageError(f"{bounded(name)!r} is no name; write {'NAME' if scoped else '[NAMESPACE/]NAME'}")
    return {"kind": found.value, "namespace": "" if scoped else namespace or "default", "name": bare}


def ask(path: str, request: dict[str, str]) -> object:
    """The result that the speaker at the socket `path` gives; raises SpeakerError."""
    # The socket's server is in the same module and needs asyncio, which `speaker --help` does without.
    from speaker import control  # noqa: PLC0415

    return control.ask(path, request)


def _show(result: object, output: str) -> None:
    click.echo(json.dumps(result, indent=2) if output == "json" else render(result))
