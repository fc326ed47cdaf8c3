"""`speaker advertise`: from the command line and a file of peers to running sessions, without a cluster."""

import os
import sys
from pathlib import Path

import click

from speaker import log
from speaker.cli.documents import read_value
from speaker.cli.options import FlagOption, parameter_name
from speaker.cli.run_command import read_password
from speaker.errors import UsageError
from speaker.settings.advertise_flags import ADVERTISE_FLAGS
from speaker.settings.advertise_settings import advertise_settings
from speaker.settings.peer_file import PeerFile, read_peer_file

_SWITCHES = {f"--{flag.name}" for flag in ADVERTISE_FLAGS if flag.reader.boolean}


class AdvertiseCommand(click.Command):
    """A command with the flags of its own table; a boolean alone means true, as everywhere."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own signature
        self.params += [FlagOption(flag, hidden=False) for flag in ADVERTISE_FLAGS]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` after writing them as click takes them."""
        return super().parse_args(ctx, [f"{each}=true" if each in _SWITCHES else each for each in args])


@click.command(cls=AdvertiseCommand)
def advertise(**parameters: object) -> int:
    """Advertise addresses to the peers in a file until SIGTERM; needs no Kubernetes.

    Every change of a session's state, and of an address, is a line on standard output. Every flag can also
    be given in the environment, as KRS_ and its name: KRS_ADVERTISE_IP=192.0.2.10.
    """
    given = {flag.name: parameters.get(parameter_name(flag)) or None for flag in ADVERTISE_FLAGS}
    settings = advertise_settings(given, os.environ)
    peers = load_peers(settings.config)
    log.configure(settings.log_level, settings.log_format)
    # The sessions take ten times as long to import as everything before.
    from speaker.daemon import advertise as daemon  # noqa: PLC0415

    return daemon.run(settings, peers, lambda: load_peers(settings.config), say)


def say(line: str) -> None:
    """Write one line to standard output at once; raises OSError when nobody reads it any more."""
    try:
        click.echo(line)
    except OSError:
        # What waits in Python's buffer must not fail again at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def load_peers(path: str) -> PeerFile:
    """What the file of peers says, with the passwords from the files that it names.

    Raises:
        UsageError: the file, or a password file, is wrong; its text tells every problem, a line each.
    """
    peers = read_peer_file(read_value(path), path)
    passwords, problems = {}, []
    for name, file in peers.password_files.items():
        try:
            passwords[name] = read_password(Path(file), f"{path}: {name}: passwordFile")
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    return peers.with_passwords(passwords)
