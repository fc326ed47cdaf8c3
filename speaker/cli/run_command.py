"""`speaker run`: from the command line to the running daemon."""

import logging
import os
from pathlib import Path

import click

from speaker import log
from speaker.cli.options import FlagCommand, given_flags
from speaker.errors import UsageError
from speaker.model.peer import Password
from speaker.settings import Settings, settings_from
from speaker.settings.checks import password_problem

LONGEST_PASSWORD_FILE = 4096

_log = logging.getLogger(__name__)


@click.command(cls=FlagCommand)
def run(**parameters: object) -> int:
    """Advertise this node's routes until SIGTERM.

    Every flag can also be given in the environment, as KRS_ and its name: KRS_NEIGHBOR_AS=65001.
    """
    settings = with_password_read(settings_from(given_flags(parameters), os.environ))
    log.configure(settings.log_level, settings.log_format)
    for notice in settings.notices:
        _log.warning("notice about the flags", extra={"notice": notice})
    # Kubernetes, BGP and netlink take ten times as long to import as everything before.
    from speaker import daemon  # noqa: PLC0415

    return daemon.run(settings, lambda: with_password_read(settings))


def with_password_read(settings: Settings) -> Settings:
    """The settings with the password that their file holds, if they name one; raises UsageError."""
    if settings.password_file is None:
        return settings
    return settings.with_password(read_password(Path(settings.password_file)))


def read_password(path: Path, given_as: str = "--auth-password-file") -> Password:
    """The password in a file, without the end of its line; raises UsageError, which says `given_as`."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_PASSWORD_FILE)
    except OSError as error:
        raise UsageError(f"{given_as}={path}: cannot be read: {error.strerror}") from None
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError(f"{given_as}={path}: must hold text in UTF-8") from None
    problem = password_problem(text)
    if problem:
        raise UsageError(f"{given_as}={path}: the password in it {problem}")
    return Password(text)
