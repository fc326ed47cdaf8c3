"""Names that any router takes: of Nodes, of groups, and of the passwords, which are never written out.

Knows what characters are safe everywhere. What comes from manifests may be anything, and what is written
here becomes a configuration: nothing but letters, digits, dots, dashes and underscores gets through.
"""

import re
from hashlib import sha256

from speaker.model.fabric import SecretKeyRef

LONGEST_NAME = 56
"""BIRD takes names of up to 63 characters; something may be put behind these."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NO_VARIABLE = re.compile(r"[^A-Z0-9]+")


def plain(text: str, limit: int = LONGEST_NAME) -> str:
    """The text with a dash in place of what is not safe; one that is cut ends in a hash of the whole."""
    safe = _UNSAFE.sub("-", text) or "-"
    if len(safe) <= limit and safe == text:
        return safe
    # What was changed could have become the same as another name.
    return f"{safe[: limit - 9]}-{_hash(text)}"


def password_variable(ref: SecretKeyRef) -> str:
    """What stands for the password: BGP_PASSWORD_<SECRET>_<KEY>, in capitals and underscores."""
    text = f"BGP_PASSWORD_{ref.name}_{ref.key}"
    name = _NO_VARIABLE.sub("_", text.upper())
    if len(name) <= LONGEST_NAME and _is_unmistakable(ref):
        return name
    return f"{name[: LONGEST_NAME - 9]}_{_hash(f'{ref.name}/{ref.key}').upper()}"


def password_place(ref: SecretKeyRef) -> str:
    """Where the password is to be found, a few words for a comment."""
    return f"key {plain(ref.key)} of Secret {plain(ref.name)}"


def _is_unmistakable(ref: SecretKeyRef) -> bool:
    """Whether no other Secret and key become the same: a-b and a.b would, and so would a/b-c and a-b/c."""
    return (
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", ref.name) is not None
        and ref.key.isalnum()
        and (ref.key == ref.key.lower() and ref.key.isascii())
    )


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
