"""What the demo shows: steps, commands, the router's table, and whether it is as expected."""

from collections.abc import Mapping
from ipaddress import ip_network

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from speaker.model.prefix import sort_key
from tests.lab.cluster import Table
from tests.lab.demo.objects import NODES


class Screen:
    """Writes to the terminal, or plainly to a file or pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    @property
    def is_terminal(self) -> bool:
        """Whether a person sits before it."""
        return self.console.is_terminal

    def say(self, *lines: str) -> None:
        """Plain sentences."""
        for line in lines:
            self.console.print(line, markup=False, soft_wrap=True)

    def step(self, number: int, of: int, sentence: str) -> None:
        """The heading of a step."""
        self.console.print()
        self.console.print(Text(f"{number}/{of}  {sentence}", style="bold"))

    def command(self, text: str, output: str) -> None:
        """A command and what it printed."""
        self.console.print(Text(f"  $ {text}", style="cyan"), soft_wrap=True)
        for line in output.splitlines():
            self.console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

    def table(self, table: Mapping[str, set[str]], after_seconds: float) -> None:
        """The router's table as it was expected, and how long it took."""
        self.console.print(_shown(table))
        self.console.print(
            Text(f"  as expected, {after_seconds * 1000:.0f} ms after the command returned", style="green")
        )

    def failure(self, expected: Mapping[str, set[str]], table: Mapping[str, set[str]]) -> None:
        """What came instead of what was expected."""
        self.console.print(Text("  NOT as expected. The router has:", style="bold red"))
        self.console.print(_shown(table))
        self.console.print(Text("  and should have:", style="red"))
        self.console.print(_shown(expected))


def live(table: Table, status: str) -> RenderableType:
    """The table that stays up until Ctrl-C."""
    return Group(_shown(table), Text(f"  {status}", style="dim"))


def _shown(table: Mapping[str, set[str]]) -> RenderableType:
    if not table:
        return Text("  (the router's table is empty)")
    drawn = RichTable("prefix", *NODES, box=None, padding=(0, 2), pad_edge=True)
    for prefix in sorted(map(ip_network, table), key=sort_key):
        hops = table[str(prefix)]
        drawn.add_row(str(prefix), *("next hop" if node in hops else "-" for node in NODES))
    return drawn
