"""`speaker preflight`: from the command line to a report about each peer."""

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from annotations.problems import bounded
from speaker import log
from speaker.cli.options import FlagCommand, given_flags
from speaker.cli.tables import table
from speaker.errors import UsageError
from speaker.log import escaped
from speaker.model.peer import Peer
from speaker.model.prefix import Address, Prefix
from speaker.routing.guard import Guard
from speaker.settings import Group, settings_from
from speaker.settings.process_flags import CONTROL_SOCKET
from speaker.texts.readers import prefix as read_prefix
from speaker.texts.readers import seconds

if TYPE_CHECKING:
    from speaker.preflight import PeerReport

SHOWN_GROUPS = (Group.BGP,)
ANY_NODE = "this-node"
UNKNOWN_ROUTER_ID = "192.0.2.1"
"""Stands until the source address toward a peer is known, which then takes its place."""

_ROUTER_ID_VARIABLES = ("KRS_ROUTER_ID", "POD_IPS", "POD_IP", "KRS_NODE_IPS")


def _duration(_context: click.Context, _option: click.Parameter, text: str) -> float:
    try:
        return float(seconds(0.1, 600, fractional=True, bare=True)(text))
    except ValueError as error:
        raise click.BadParameter(f"{bounded(text)}: {error}") from None


def _host_route(_context: click.Context, _option: click.Parameter, text: str | None) -> Prefix | None:
    """The prefix of --test-prefix: one address, so that whatever goes wrong concerns that alone."""
    if text is None:
        return None
    try:
        found = read_prefix(text)
    except ValueError as error:
        raise click.BadParameter(f"{bounded(text)}: {error}") from None
    if found.prefixlen != found.max_prefixlen:
        raise click.BadParameter(f"{found}: must be a host route, a /{found.max_prefixlen}")
    return found


@click.command(cls=FlagCommand, shown=SHOWN_GROUPS)
@click.option("--config", "path", metavar="<path>", help="A file of peers, as speaker advertise takes it.")
@click.option("--peer", "names", multiple=True, metavar="<name>", help="Only these peers; repeatable.")
@click.option(
    "--timeout",
    "timeout_seconds",
    callback=_duration,
    default="5s",
    show_default=True,
    metavar="<duration>",
    help="How long to wait for each answer, and with --passivemode for the peer's connection.",
)
@click.option(
    "--test-prefix",
    callback=_host_route,
    metavar="<prefix>",
    help="Establish the sessions and advertise this host route for some seconds, with NO_EXPORT and"
    " GRACEFUL_SHUTDOWN, then withdraw it. It must be an address that nobody uses.",
)
@click.option(
    "--disruptive",
    is_flag=True,
    help="Connect to peers with an established session too; BIRD and FRR then reset that session.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to show the reports.",
)
def preflight(
    path: str | None,
    names: Sequence[str],
    timeout_seconds: float,
    test_prefix: Prefix | None,
    *,
    disruptive: bool,
    output: str,
    **parameters: object,
) -> int:
    """Check that this node and its peers can have sessions; ends with 1 when they cannot.

    The peers come from the flags of speaker run, or from --config. A peer whose session is established in
    the running speaker is reported from there and not connected to.
    """
    given = given_flags(parameters)
    subjects = _from_flags(given) if path is None else _from_file(path, given)
    log.configure("error", "text")
    peers = _chosen(subjects.peers, names)
    if test_prefix is not None:
        _refuse_reserved(test_prefix, subjects.peers)
    # BGP takes longer to import than `speaker --help` may run.
    from speaker import preflight as checking  # noqa: PLC0415

    options = checking.Options(
        timeout_seconds=timeout_seconds,
        allowed_sources=subjects.allowed_sources,
        test_prefix=test_prefix,
        disruptive=disruptive,
        control_socket=subjects.control_socket,
        listen_port=subjects.listen_port,
        listen_addresses=subjects.listen_addresses,
        router_id_from_source=subjects.router_id_from_source,
    )
    reports = asyncio.run(checking.preflight(peers, options))
    for notice in subjects.notices:
        click.echo(f"speaker: {escaped(notice)}", err=True)
    if output == "json":
        click.echo(json.dumps(checking.as_document(reports), indent=2))
    else:
        click.echo("\n".join(_text(reports)))
    return 1 if checking.has_failed(reports) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subjects:
    """Who is checked, and from where."""

    peers: tuple[Peer, ...]
    control_socket: str | None
    allowed_sources: tuple[Address, ...] = ()
    listen_port: int | None = None
    listen_addresses: tuple[Address, ...] = ()
    router_id_from_source: bool = False
    notices: tuple[str, ...] = ()


def _from_flags(given: Mapping[str, object]) -> _Subjects:
    """The peers that the flags and the environment describe; raises UsageError."""
    from speaker.cli.run_command import with_password_read  # noqa: PLC0415

    environ = dict(os.environ)
    if not any(environ.get(name) for name in ("KRS_NODE_NAME", "NODE_NAME")):
        environ["NODE_NAME"] = ANY_NODE
    unknown = not (
        given.get("router-id")
        or given.get("node-ips")
        or any(environ.get(name) for name in _ROUTER_ID_VARIABLES)
    )
    if unknown:
        environ["KRS_ROUTER_ID"] = UNKNOWN_ROUTER_ID
    settings = with_password_read(settings_from(given, environ))
    return _Subjects(
        peers=settings.peers(),
        control_socket=settings.control_socket,
        allowed_sources=settings.allowed_sources,
        listen_port=settings.listen_port,
        router_id_from_source=unknown,
    )


def _from_file(path: str, given: Mapping[str, object]) -> _Subjects:
    """The peers that a file describes; raises UsageError."""
    from speaker.cli.advertise_command import load_peers  # noqa: PLC0415

    others = sorted(set(given) - {CONTROL_SOCKET.name})
    if others:
        flags = ", ".join(f"--{name}" for name in others)
        raise UsageError(f"--config says everything about the peers, so leave out {flags}")
    found = load_peers(path)
    texts = given.get(CONTROL_SOCKET.name)
    socket = texts[-1] if isinstance(texts, Sequence) and not isinstance(texts, str) else None
    ranges = len(found.ranges)
    return _Subjects(
        peers=found.peers,
        control_socket=str(
            socket if socket is not None else os.environ.get(CONTROL_SOCKET.variable, CONTROL_SOCKET.default)
        ),
        listen_port=found.listen_port,
        listen_addresses=found.listen_addresses,
        notices=(f"ranges of peers are not checked; the file has {ranges} of them",) if ranges else (),
    )


def _chosen(peers: Sequence[Peer], names: Sequence[str]) -> list[Peer]:
    """The peers that are asked for, by name or address; raises UsageError."""
    if not peers:
        raise UsageError("there is no peer to check: only ranges are configured")
    known = {name: peer for peer in peers for name in (str(peer.address), peer.name)}
    for name in names:
        if name not in known:
            everyone = ", ".join(peer.name for peer in peers[:20])
            raise UsageError(f"--peer={bounded(name)}: the peers are {everyone}")
    wanted = {known[name].name for name in names}
    return [peer for peer in peers if not names or peer.name in wanted]


def _refuse_reserved(prefix: Prefix, peers: Iterable[Peer]) -> None:
    refusal = Guard((), (peer.address for peer in peers)).refuse(prefix)
    if refusal is not None:
        raise UsageError(f"--test-prefix={prefix}: never advertised: {refusal.detail}")


def _text(reports: Sequence["PeerReport"]) -> Iterator[str]:
    from speaker import preflight as checking  # noqa: PLC0415

    for report in reports:
        peer = report.peer
        name = "" if peer.name == str(peer.address) else f"{escaped(peer.name)} "
        yield f"Peer {name}{peer.address} (AS {peer.asn}): {report.result.value}"
        rows = checking.rows(report)
        columns = ("check", "result", "detail")
        yield from (f"  {line}" for line in table([{key: row[key] for key in columns} for row in rows]))
        if report.capabilities:
            yield "  The peer offers:"
            yield from (f"    {escaped(text)}" for text in report.capabilities)
        advice = [f"    {row['check']}: {row['advice']}" for row in rows if row["advice"]]
        if advice:
            yield "  What to do:"
            yield from map(escaped, advice)
        yield ""
    results = [report.result.value for report in reports]
    counts = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results))
    yield f"{len(reports)} {'peer' if len(reports) == 1 else 'peers'}: {counts}"
