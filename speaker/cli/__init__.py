"""The command line: `speaker run`, `plan`, `status`, `routes`, `explain` and `version`.

Knows click, the flag table and which function each command calls. What a command needs is imported
when it runs: `speaker version` must not pay for Kubernetes and BGP.
"""

from speaker.cli.program import main

__all__ = ["main"]
