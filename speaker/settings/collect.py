"""Collects the flags' values from what was given, and every problem with them.

Knows the flag table's shape and in which order sources count: the command line, then the environment,
then the default. Knows nothing of what a value is used for, and reads nothing by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

from annotations.problems import bounded
from speaker.errors import UsageError
from speaker.settings.flag import Flag
from speaker.texts.shown import LONGEST_SHOWN

T = TypeVar("T")


def texts_of(given: object) -> tuple[str, ...]:
    """What was given for one flag, as texts; lists add up, and Python's own values are written as in Go."""
    if given is None:
        return ()
    if isinstance(given, bool):
        return ("true" if given else "false",)
    if isinstance(given, Iterable) and not isinstance(given, str):
        return tuple(text for item in given for text in texts_of(item))
    return (str(given),)


class Values:
    """The value of every flag, and the problems found while reading them.

    Args:
        flags: the flag table.
        given: what the command line says, by flag name; a dash and an underscore are the same.
        environ: the environment.
    """

    def __init__(
        self, flags: Sequence[Flag[object]], given: Mapping[str, object], environ: Mapping[str, str]
    ) -> None:
        self.problems: list[str] = []
        self._values: dict[str, object] = {}
        self._sources: dict[str, str] = {}
        self._missing: list[str] = []
        by_name = {name.replace("_", "-"): texts_of(texts) for name, texts in given.items()}
        for flag in flags:
            self._values[flag.name] = self._read(flag, by_name.get(flag.name.replace("_", "-"), ()), environ)

    def __getitem__(self, flag: Flag[T]) -> T:
        """The value of `flag`: of its reader's type, also when what was given for it is wrong."""
        return cast("T", self._values[flag.name])

    def was_given(self, flag: Flag[object]) -> bool:
        """Whether the command line or the environment gives `flag`."""
        return flag.name in self._sources

    def problem(self, flag: Flag[object], sentence: str) -> None:
        """Record what is wrong with the value of `flag`."""
        source = self._sources.get(flag.name, f"--{flag.name}={flag.default or ''}")
        self.problems.append(f"{source}: {sentence}")

    def missing(self, name: str) -> None:
        """Record that what `name` describes must be given."""
        self._missing.append(name)

    def raise_problems(self) -> None:
        """Raise one `UsageError` that tells every problem, a line each, if there is any."""
        lines = list(self.problems)
        if self._missing:
            plural = "s" if len(self._missing) > 1 else ""
            lines.insert(0, f"missing required flag{plural}: {', '.join(self._missing)}")
        if lines:
            raise UsageError("\n".join(lines))

    def _read(self, flag: Flag[object], texts: tuple[str, ...], environ: Mapping[str, str]) -> object:
        """The value of one flag; of its default when what was given is wrong, so that the rest is checked."""
        default = () if flag.default is None else (flag.default,)
        origin = f"--{flag.name}"
        if not texts:
            origin, texts = next(
                ((name, (environ[name],)) for name in flag.variables if environ.get(name)), (origin, ())
            )
        if not texts:
            if flag.required:
                self.missing(" or ".join((f"--{flag.name}", *flag.environment)))
            return flag.reader.read(default)
        self._sources[flag.name] = (
            origin if flag.secret else f"{origin}={bounded(','.join(texts), LONGEST_SHOWN)}"
        )
        try:
            return flag.reader.read(texts)
        except ValueError as error:
            self.problem(flag, str(error))
            return flag.reader.read(default)
