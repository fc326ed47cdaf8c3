"""The speaker's own errors, and whose fault each one is.

    SpeakerError                 anything we raise on purpose; its text is one plain sentence
    ├── UsageError               the user's flags or files are wrong: exit status 2
    ├── ClusterError             the API server cannot be reached or refuses us: exit status 1
    └── HostError                this host lacks what we need (a port, a capability): exit status 1

A session's errors are values (`SessionEvent.reason`), never exceptions that cross a module.
"""


class SpeakerError(Exception):
    """Something went wrong that a person can mend; the text says what and how."""


class UsageError(SpeakerError):
    """The command line, the environment or a file given by the user is wrong."""


class ClusterError(SpeakerError):
    """The Kubernetes API cannot be reached, or does not permit what the speaker must read."""


class HostError(SpeakerError):
    """This host does not give what was asked: a port, an address, a capability."""
