"""Click options from the flag table, and arguments as Go programs take them.

Knows how a flag is written on a command line; what its value means is `speaker.settings`' to know. Values
stay texts here, so that every problem with them can be told at once.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import click

from speaker.settings import FLAGS, Flag, Group

HELPFUL_GROUPS = tuple(group for group in Group if group is not Group.ACCEPTED)
"""What help lists; the reference page has the rest too."""

_BY_SPELLING = {f"--{flag.name}".replace("_", "-"): flag for flag in FLAGS} | {
    f"-{flag.short}": flag for flag in FLAGS if flag.short
}


def spelled_as_click_does(arguments: Sequence[str]) -> list[str]:
    """The same arguments in the one spelling that click takes.

    A boolean alone means true and never takes the next argument (`pflag`); klog's underscores may be
    dashes and the reverse; `-v=5` is `-v5`.
    """
    result: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            return [*result, argument, *waiting]
        result.extend(_one_spelling(argument, waiting))
    return result


def _one_spelling(argument: str, following: Iterator[str]) -> Iterator[str]:
    name, equals, text = argument.partition("=")
    flag = _BY_SPELLING.get(name.replace("_", "-")) if name.startswith("-") else None
    if flag is None:
        yield argument
    elif equals or flag.reader.boolean:
        yield f"--{flag.name}={text if equals else 'true'}"
    else:
        yield f"--{flag.name}"
        yield from islice(following, 1)


def parameter_name(flag: Flag[object]) -> str:
    """The name under which click hands over the flag's texts."""
    return flag.name.replace("-", "_")


class FlagOption(click.Option):
    """The click option of one flag; it may stand several times and keeps every text."""

    def __init__(self, flag: Flag[object], *, hidden: bool) -> None:
        spellings = [parameter_name(flag), f"--{flag.name}"]
        super().__init__(
            spellings + ([f"-{flag.short}"] if flag.short else []),
            multiple=True,
            type=str,
            metavar=f"<{flag.reader.kind}>",
            help=help_text(flag),
            hidden=hidden,
        )
        self.flag = flag


def help_text(flag: Flag[object]) -> str:
    """The flag's help with its default."""
    shown = flag.shown_default or flag.default
    return f"{flag.help} [default: {shown}]" if shown else flag.help


class FlagCommand(click.Command):
    """A command with the flags of the table, its arguments in Go's manner, its help by headings.

    Args:
        shown: the groups that `--help` lists; the others are taken all the same.
    """

    def __init__(self, *args: object, shown: Sequence[Group] = HELPFUL_GROUPS, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own signature
        self._shown = shown
        self.params += [FlagOption(flag, hidden=flag.group not in shown) for flag in FLAGS]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` after writing them as click takes them."""
        return super().parse_args(ctx, spelled_as_click_does(args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the flags under their headings."""
        own = [option for option in self.get_params(ctx) if not isinstance(option, FlagOption)]
        self._section(ctx, formatter, "Options", own)
        for group in self._shown:
            flags = [
                option
                for option in self.params
                if isinstance(option, FlagOption) and option.flag.group is group
            ]
            self._section(ctx, formatter, group.value, flags)

    @staticmethod
    def _section(
        ctx: click.Context, formatter: click.HelpFormatter, title: str, options: Sequence[click.Parameter]
    ) -> None:
        records = [record for option in options if (record := option.get_help_record(ctx))]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def given_flags(parameters: dict[str, object]) -> dict[str, object]:
    """Of a command's parameters those that are flags of the table and were given."""
    return {flag.name: texts for flag in FLAGS if (texts := parameters.get(parameter_name(flag)))}
