"""A private view of /etc/passwd, /etc/group and /var/tmp, so that a daemon keeps the user it started with.

A daemon that changes its user loses the parent-death signal that ends it with the test, and FRR will not
run as a user outside its own group. In a mount namespace of the daemon's own its user *is* user 0,
which holds for root and for an unprivileged user namespace alike; the machine's files stay as they are.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path


def private(folder: Path, argv: Sequence[str], *, users: Sequence[str], groups: Sequence[str]) -> list[str]:
    """The command line that runs `argv` where `users` and `groups` are aliases of user and group 0.

    Each user's home, and what is left behind in /var/tmp, is in `folder`.
    """
    home = folder / "home"
    temporary = folder / "var-tmp"
    for place in (home, temporary):
        place.mkdir(exist_ok=True)
    accounts = [f"{user}:x:0:0::{home}:/bin/sh\n" for user in ("root", *users)]
    memberships = [f"{group}:x:0:{','.join(('root', *users))}\n" for group in ("root", *groups)]
    (folder / "passwd").write_text("".join(accounts), encoding="ascii")
    (folder / "group").write_text("".join(memberships), encoding="ascii")
    mounts = [
        (folder / "passwd", "/etc/passwd"),
        (folder / "group", "/etc/group"),
        (temporary, "/var/tmp"),
    ]
    steps = [f"mount --bind {shlex.quote(str(ours))} {theirs}" for ours, theirs in mounts]
    script = " && ".join([*steps, f"exec {shlex.join(argv)}"])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
