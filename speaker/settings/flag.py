"""What a flag is: one row of the table that options, validation and the reference page are made from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from speaker.texts.readers import Reader

T = TypeVar("T", covariant=True)  # noqa: PLC0105 - a row is only ever read

ENVIRONMENT_PREFIX = "KRS_"
"""Not SPEAKER_: a Service named "speaker" would set SPEAKER_PORT and its like in every Pod beside it."""


class Group(StrEnum):
    """The headings under which help and the reference page show flags."""

    BGP = "BGP sessions"
    SESSIONS = "BGP sessions in detail"
    PUBLICATION = "What is published"
    FABRIC = "The fabric, and routes that are learned"
    STOPPING = "Stopping and restarting"
    PROCESS = "Process, Kubernetes and logs"
    ACCEPTED = "Accepted from Kube-OVN, without effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Generic[T]):
    """One flag.

    Attributes:
        name: without its dashes.
        group: the heading it stands under.
        reader: how its texts become its value.
        help: what it is for: one sentence or two, for people.
        default: the text that stands for it when none is given; None leaves that to `reader`.
        shown_default: how the default is described when it is no constant.
        short: a one-letter form, without its dash.
        required: it must be given, unless `environment` gives it.
        environment: variables beside KRS_<NAME> that give it, in order.
        from_kube_ovn: Kube-OVN's speaker has it under this name.
        instead: for a flag that is accepted without effect: what to use, as a sentence.
        unsupported: giving it a value other than its default is an error; this sentence says so.
        secret: its value is never shown.
    """

    name: str
    group: Group
    reader: Reader[T]
    help: str
    default: str | None = None
    shown_default: str = ""
    short: str = ""
    required: bool = False
    environment: tuple[str, ...] = ()
    from_kube_ovn: bool = False
    instead: str = ""
    unsupported: str = ""
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that gives this flag."""
        return ENVIRONMENT_PREFIX + self.name.replace("-", "_").upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that gives this flag, the strongest first."""
        return (self.variable, *self.environment)
