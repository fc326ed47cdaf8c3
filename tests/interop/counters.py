"""What the kernel of a host counts that nobody is told of: packets that it drops for how they come."""

from pathlib import Path

from tests.lab.net.namespace import Namespace

TTL_TOO_LOW = "TCPMinTTLDrop"
"""Segments that came with a lower TTL than TTL security asks for (RFC 5082)."""

WRONG_SIGNATURE = "TCPMD5Failure"
"""Segments that were signed with another password (RFC 2385)."""


def dropped(namespace: Namespace, name: str) -> int:
    """How many segments were dropped for that reason."""
    text = namespace.call(lambda: Path("/proc/thread-self/net/netstat").read_text(encoding="ascii"))
    lines = [line.split() for line in text.splitlines()]
    # Names stand in one line, and their numbers at the same places in the next.
    return next(
        int(numbers[names.index(name)])
        for names, numbers in zip(lines[::2], lines[1::2], strict=True)
        if name in names
    )
