"""What may be large or secret, read with a bound: our own resources, and the values of Secrets.

Knows JSON and base64. What is too large is told and never decoded: whoever may write a BGPPeer must
not be able to fill the memory of every node. A value of a Secret stands in no sentence.
"""

import binascii
from collections.abc import Callable, Iterator, Mapping

import msgspec

from speaker.cluster import wire
from speaker.model.objects import ObjectRef
from speaker.model.peer import Password

LONGEST_PART = 256 * 1024
"""Octets of JSON in `spec` or in `status`. A BGPFilter with a thousand rules has a quarter of it."""

LONGEST_SECRET = 4096
"""Octets of a value. A TCP MD5 key has 80 at most; certificates of a Secret that is misnamed have more."""

_any = msgspec.json.Decoder()


def json_object(ref: ObjectRef, field: str, raw: msgspec.Raw) -> Mapping[str, object]:
    """The JSON object in a field; one that is absent or null is empty.

    Args:
        ref: whose it is.
        field: its name, for the sentence.
        raw: its JSON; empty when it is absent.

    Raises:
        ValueError: it is too large, too deep or no object; the text is a sentence.
    """
    octets = memoryview(raw).nbytes
    if octets > LONGEST_PART:
        raise ValueError(f"{ref}: {field} has {octets} octets, and {LONGEST_PART} at most are read")
    try:
        value = _any.decode(raw) if octets else None
    except RecursionError:
        raise ValueError(f"{ref}: {field} is nested too deep to be read") from None
    match value:
        case None:
            return {}
        case dict():
            return value
    raise ValueError(f"{ref}: {field} holds {type(value).__name__}, which is not an object")


def secret_values(
    ref: ObjectRef, secret: wire.Secret, problems: Callable[[str], None]
) -> Iterator[tuple[str, Password]]:
    """The keys of a Secret with their values, without the end of the line that a file brings along.

    Args:
        ref: whose they are.
        secret: the Secret.
        problems: told one sentence for each value that cannot be read; it does not hold the value.
    """
    for key, text in (secret.data or {}).items():
        try:
            octets = binascii.a2b_base64(text, strict_mode=True)
            yield key, _password(octets)
        except ValueError:
            # From None of these: the errors of both decodings quote what they could not decode.
            problems(f"{ref}: data.{key[:64]} cannot be read: it is not base64 of a short UTF-8 text")
    for key, text in (secret.stringData or {}).items():
        yield key, Password(text.removesuffix("\n").removesuffix("\r"))


def _password(octets: bytes) -> Password:
    """Raises ValueError for what is no UTF-8, or too long."""
    if len(octets) > LONGEST_SECRET:
        raise ValueError("too long")
    return Password(octets.decode().removesuffix("\n").removesuffix("\r"))
