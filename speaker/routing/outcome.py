"""What became of one object that asks for publication, and how that changed.

Knows only values; a person's sentence for a reason stands in `speaker.model.publication`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from speaker.model.objects import ObjectRef
from speaker.model.prefix import Prefix
from speaker.model.publication import REASON_SENTENCES, Exclusion, Publication


class Outcome(NamedTuple):
    """What became of one object: each of its prefixes stands in one of the first two, never in both.

    Attributes:
        publications: what this node advertises for it.
        exclusions: what it does not advertise, and why; `prefix` is None for the whole object.
        notes: what a person may want to mend although it keeps no prefix back: an annotation that is
            not understood, an attribute that is not permitted, in conflict or not applicable, a peer
            that lacks a next hop. `peer` is "" when it concerns several; `detail` names them.
    """

    publications: tuple[Publication, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[Exclusion, ...] = ()

    @property
    def has_reports(self) -> bool:
        """Whether there are any."""
        return bool(self.exclusions or self.notes)

    @property
    def reports(self) -> tuple[Exclusion, ...]:
        """Exclusions and notes, for counting and for Events."""
        return self.exclusions + self.notes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A prefix that an object no longer has advertised; `exclusion` None when it no longer asks."""

    prefix: Prefix
    exclusion: Exclusion | None

    @property
    def why(self) -> str:
        """The reason in the words of `REASON_SENTENCES`."""
        if self.exclusion is None:
            return "nothing asks for it any more"
        return REASON_SENTENCES[self.exclusion.reason]


class OutcomeChange(NamedTuple):
    """How the outcome of one object changed; None before it asked, and when it no longer does."""

    ref: ObjectRef
    before: Outcome | None
    after: Outcome | None

    @property
    def advertised(self) -> tuple[Publication, ...]:
        """What is published now and was not, or was with other attributes, peers or rule."""
        known = {each.prefix: each for each in self.before.publications} if self.before else {}
        now = self.after.publications if self.after else ()
        return tuple(each for each in now if known.get(each.prefix) != each)

    @property
    def withdrawn(self) -> tuple[Withdrawal, ...]:
        """What was published for this object and is not any more, with the reason."""
        if self.before is None or not self.before.publications:
            return ()
        after = self.after or Outcome()
        kept = {each.prefix for each in after.publications}
        reasons = {each.prefix: each for each in after.exclusions}
        whole = reasons.get(None)
        return tuple(
            Withdrawal(each.prefix, reasons.get(each.prefix, whole))
            for each in self.before.publications
            if each.prefix not in kept
        )

    @property
    def reported(self) -> tuple[Exclusion, ...]:
        """Exclusions and notes that are new."""
        if self.after is None or not self.after.has_reports:
            return ()
        known = set(self.before.reports) if self.before else set()
        return tuple(each for each in self.after.reports if each not in known)
