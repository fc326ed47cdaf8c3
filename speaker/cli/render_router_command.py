"""`speaker render-router`: prints what a router has to be told, from the live cluster or from manifests.

Knows files, flags and when to write again; what is written is `speaker.fabric.render`'s to know. No
password is read at all: the text names the Secrets.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annotations.problems import bounded
from speaker import log
from speaker.cli.cluster_reading import (
    FabricView,
    Where,
    cluster_options,
    read_cluster,
    read_manifests,
    where_of,
)
from speaker.errors import HostError, UsageError
from speaker.fabric.nodes import read_as_number
from speaker.log import escaped
from speaker.texts.readers import address as read_address
from speaker.texts.readers import integer
from speaker.texts.readers import prefix as read_prefix

if TYPE_CHECKING:
    from speaker.fabric.render.side import Asked

FORMATS = ("frr", "bird", "arista", "junos")
LARGEST_LIMIT = 10_000_000


def _each(reader: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, object], object]:
    """A callback that reads every text of an option; raises BadParameter."""

    def read(_context: click.Context, _option: click.Parameter, given: object) -> object:
        try:
            if isinstance(given, tuple):
                return tuple(reader(text) for text in given)
            return None if given is None else reader(str(given))
        except ValueError as error:
            shown = ", ".join(given) if isinstance(given, tuple) else str(given)
            raise click.BadParameter(f"{bounded(shown)}: {error}") from None

    return read


@click.command("render-router")
@click.option(
    "--router",
    "addresses",
    multiple=True,
    required=True,
    callback=_each(read_address),
    metavar="<address>",
    help="The router's address, as peerIP has it; repeat it for a router with several.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="Whose configuration to write.",
)
@click.option(
    "--as",
    "as_number",
    callback=_each(read_as_number),
    metavar="<AS number>",
    help="Only BGPPeers that give the router this AS number.",
)
@click.option(
    "--range",
    "ranges",
    multiple=True,
    callback=_each(read_prefix),
    metavar="<prefix>",
    help="Take whoever calls from here as a neighbour, in place of the Nodes in it; repeatable.",
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    callback=_each(read_prefix),
    metavar="<prefix>",
    help="Accept from Nodes, and pass on, what lies in here, beside the Pod ranges of the cluster:"
    " published Services, for one; repeatable.",
)
@click.option(
    "--max-prefixes",
    callback=_each(integer(1, LARGEST_LIMIT)),
    metavar="<number>",
    help="How many prefixes of a family one Node may send.",
)
@click.option(
    "--sessions-only",
    is_flag=True,
    help="Leave out what a BIRD has once: its router ID, and the device, direct, kernel and BFD protocols.",
)
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    metavar="<path>",
    help="Manifests of Nodes and resources: a file, a folder, or - for standard input; repeatable. Without"
    " it the live cluster is read.",
)
@click.option("--output-file", metavar="<path>", help="Write to this file, replacing it at once.")
@click.option("--watch", is_flag=True, help="Write again whenever Nodes or resources change, until SIGTERM.")
@cluster_options
def render_router(  # noqa: PLR0913 # an option each
    addresses: tuple[object, ...],
    form: str,
    as_number: int | None,
    ranges: tuple[object, ...],
    accepted: tuple[object, ...],
    max_prefixes: int | None,
    *,
    sessions_only: bool,
    paths: Sequence[str],
    output_file: str | None,
    watch: bool,
    **parameters: object,
) -> None:
    """Print the router's side of the BGPPeers with its address in peerIP: neighbours, AS numbers, filters.

    Passwords are named, never written: for FRR, Arista and Junos as ${BGP_PASSWORD_...} for envsubst, for
    BIRD as constants out of a file that it includes. What has to be done by hand stands in comments, and on
    standard error. Changes nothing, in the cluster or on the router.
    """
    where = where_of(parameters)
    log.configure("error", "text")
    from speaker.fabric.render.side import Asked  # noqa: PLC0415

    asked = Asked(
        addresses=addresses,  # type: ignore[arg-type]  # read by the callbacks
        as_number=as_number,
        ranges=ranges,  # type: ignore[arg-type]
        accepted=accepted,  # type: ignore[arg-type]
        max_prefixes=max_prefixes,
        sessions_only=sessions_only,
    )
    if watch and paths:
        raise UsageError("--watch is for a live cluster: leave out -f")
    output = Output(output_file, form, asked)
    if watch:
        _watch(where, output)
        return
    output.write(_view(where, paths))


def _view(where: Where, paths: Sequence[str]) -> FabricView:
    if not paths:
        return read_cluster(where, reports=False)
    view, problems = read_manifests(where, paths)
    _tell(problems)
    return view


def _watch(where: Where, output: "Output") -> None:
    config = where.cluster_config(reports=False)
    import asyncio  # noqa: PLC0415

    from speaker.cli.watching import watch_fabric  # noqa: PLC0415

    asyncio.run(watch_fabric(config, FabricView(where), output.write_if_changed))


class Output:
    """Where the text goes.

    Args:
        path: a file; None is standard output.
        form: one of `FORMATS`.
        asked: whose side is written.
    """

    def __init__(self, path: str | None, form: str, asked: "Asked") -> None:
        self._path = None if path is None else Path(path)
        self._form = form
        self._asked = asked
        self._written: str | None = None
        self._notes: tuple[str, ...] = ()
        self._problem = ""

    def write(self, view: FabricView) -> None:
        """Write the router's side.

        Raises:
            UsageError: there is none.
            HostError: it cannot be written.
        """
        from speaker.fabric.render.formats import FORMATS as RENDERERS  # noqa: PLC0415
        from speaker.fabric.render.gathering import router_side  # noqa: PLC0415

        side = router_side(view.plan(), view.pod_ranges, self._asked)
        text = RENDERERS[self._form](side)
        rejected = tuple(
            f"{ref} is left out, for it is not right: {problem}"
            for ref, problems in sorted(view.resources.problems.items())
            for problem in problems
        )
        notes = (*rejected, *side.notes)
        _tell(each for each in notes if each not in self._notes)
        self._notes = notes
        if text == self._written:
            return
        if self._path is not None:
            _replace(self._path, text)
        else:
            separator = "" if self._written is None else "\n"
            click.echo(separator + text, nl=False)
        self._written = text

    def write_if_changed(self, view: FabricView) -> None:
        """The same while watching: what stands in the way is told, and may be gone with the next change."""
        try:
            self.write(view)
        except UsageError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                _tell([f"{error}; what was written stays"])
        else:
            self._problem = ""


def _tell(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        click.echo(f"speaker: {escaped(sentence)}", err=True)


def _replace(path: Path, text: str) -> None:
    """Write a file so that nobody ever reads half of it; raises HostError."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            Path(name).chmod(mode)
            Path(name).replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise HostError(f"--output-file={path} cannot be written: {error.strerror}") from None
