"""The program: which commands there are, and how every failure ends.

Bad usage ends with exit status 2 and any other failure with 1, always in one plain sentence on standard
error (or one line for each of several problems), never in a traceback.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

import speaker
from annotations.problems import bounded
from speaker.errors import SpeakerError, UsageError

INTERRUPTED = 130
"""The exit status of a program that SIGINT ended, as shells count it."""

LONGEST_SENTENCE = 400

COMMANDS = {
    "run": ("run_command", "Advertise this node's routes until SIGTERM."),
    "advertise": ("advertise_command", "Advertise addresses without a cluster, such as a control plane's."),
    "plan": ("plan_command", "Show what each node would advertise, and what not and why."),
    "preflight": ("preflight_command", "Check that this node and its peers can have sessions."),
    "status": ("control_commands", "Show the running speaker: its sessions and its sources."),
    "routes": ("control_commands", "Show the routes that each peer should hear."),
    "learned": ("control_commands", "Show the routes that peers teach, and which of them are used."),
    "explain": ("control_commands", "Show why an object is published or not."),
    "fabric": (
        "fabric_command",
        "Show the fabric as a whole, and check that every node reaches every other.",
    ),
    "render-router": ("render_router_command", "Print a router's side of the BGPPeers."),
    "convert": ("convert_command", "Turn Calico's BGP resources into ours."),
    "version": ("program", "Print the version."),
}
"""Each command's module and summary: only the module of the command that runs is imported."""


class Program(click.Group):
    """The commands; flags without a command mean `run`, as Kube-OVN's DaemonSet starts its speaker."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, putting `run` before them when they begin with one of its flags."""
        if args and args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, the most used first."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"speaker.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their summaries, importing none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(speaker.__version__, prog_name="kube-route-speaker", message="%(prog)s %(version)s")
def program() -> None:
    """Publish the addresses of a Kubernetes cluster to BGP routers, as kubectl annotate asks."""


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"kube-route-speaker {speaker.__version__}")


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
    """What click found wrong, with the nearest flag where one is unknown."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        return f"there is no flag {bounded(error.option_name)}{near}"
    message = bounded(error.format_message(), LONGEST_SENTENCE).removesuffix(".")
    return message[:1].lower() + message[1:]


def _tell(text: str) -> None:
    """Write one sentence, or a heading and a line for each of several."""
    lines = text.splitlines()
    if len(lines) > 1:
        lines = [f"{len(lines)} problems:", *(f"  {line}" for line in lines)]
    click.echo("speaker: " + "\n".join(lines), err=True)
