"""The program: which commands there are, and how every failure ends.

Bad usage ends with exit status 2 and any other failure with 1, always in one plain sentence on standard
error (or one line for each of several problems), never in a traceback.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import speaker
from speaker.cli.control_commands import explain, routes, status
from speaker.cli.plan_command import plan
from speaker.cli.run_command import run
from speaker.errors import SpeakerError, UsageError
from speaker.settings.collect import shown

INTERRUPTED = 130
"""The exit status of a program that SIGINT ended, as shells count it."""


class Program(click.Group):
    """The commands; flags without a command mean `run`, as Kube-OVN's DaemonSet starts its speaker."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, putting `run` before them when they begin with one of its flags."""
        if args and args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=Program,
    help="Publish the addresses of a Kubernetes cluster to BGP routers, as kubectl annotate asks.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(speaker.__version__, prog_name="kube-route-speaker", message="%(prog)s %(version)s")
def program() -> None:
    """Hold the commands together."""


@program.command()
def version() -> None:
    """Print the version."""
    click.echo(f"kube-route-speaker {speaker.__version__}")


for _command in (run, plan, status, routes, explain):
    program.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and end the process with its exit status.

    Args:
        arguments: those of the process when None.
    """
    sys.exit(exit_status(sys.argv[1:] if arguments is None else arguments))


def exit_status(arguments: Sequence[str]) -> int:
    """Run the program; tells what went wrong on standard error and returns the exit status."""
    try:
        result = program.main(args=list(arguments), prog_name="speaker", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        _tell(_sentence(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SpeakerError as error:
        _tell(str(error))
        return 2 if isinstance(error, UsageError) else 1
    return result if isinstance(result, int) else 0


def _sentence(error: click.ClickException) -> str:
    """What click found wrong, in our words."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        return f"there is no flag {shown(error.option_name)}{near}"
    return error.format_message()


def _tell(text: str) -> None:
    """Write one sentence, or a heading and a line for each of several."""
    lines = text.splitlines()
    if len(lines) > 1:
        lines = [f"{len(lines)} problems:", *(f"  {line}" for line in lines)]
    click.echo("speaker: " + "\n".join(lines), err=True)
