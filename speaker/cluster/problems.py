"""What can go wrong with a request, by what must be done about it."""

LONGEST_MESSAGE = 300


class RequestProblem(Exception):  # noqa: N818 # a problem to recover from, not an error to raise to people
    """The API server answered with a failure; the text is one sentence.

    Args:
        sentence: what happened, for people.
        status: the HTTP status, or the code of an ERROR event.
        retry_after_seconds: what the server asks to wait; None when it does not say.
    """

    def __init__(self, sentence: str, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Gone(RequestProblem):
    """410: the resourceVersion or the continue token is too old; list again."""


class ServerBehind(RequestProblem):
    """504: the server has not reached our resourceVersion yet; it will in a moment."""


class Unauthorized(RequestProblem):
    """401: the credentials are not accepted, even when read again."""


class Forbidden(RequestProblem):
    """403: a role is missing."""


class NotFound(RequestProblem):
    """404: no such resource here (a CRD that is not installed) or no such object."""


class Unprocessable(RequestProblem):
    """400 or 422: the server does not know a parameter (WatchList on an older one)."""


_BY_STATUS = {
    400: Unprocessable,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    410: Gone,
    422: Unprocessable,
}

_ADVICE = {
    401: "check the token or the client certificate",
    403: "apply the ClusterRole in manifests/base",
}
_ADVICE_BY_NAME = "permit it by its name in a Role of the speaker's namespace"


def problem(
    server: str, status: int, what: str, message: str, retry_after: str | None = None
) -> RequestProblem:
    """The problem for an HTTP status or an ERROR event's code.

    Args:
        server: the API server's URL.
        status: the code.
        what: what was asked for, such as "list pods".
        message: the server's own words, bounded here.
        retry_after: the header, seconds as a decimal number; a date counts as absent.
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in message[:LONGEST_MESSAGE]).split())
    # Without credentials it refuses everything: one sentence for all that is asked.
    refuses = "does not accept the credentials" if status == 401 else f"refuses to {what}"
    sentence = f"the API server {server} {refuses} ({status}){': ' if words else ''}{words}"
    if status == 403 and " secrets/" in what:
        sentence += f"; {_ADVICE_BY_NAME}"
    elif status in _ADVICE:
        sentence += f"; {_ADVICE[status]}"
    seconds = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    kind = _BY_STATUS.get(status, RequestProblem)
    # A proxy's 504 carries other words: it is no reason to come back within the second.
    if status == 504 and "too large resource version" in words.lower():
        kind = ServerBehind
    return kind(sentence, status, seconds)
