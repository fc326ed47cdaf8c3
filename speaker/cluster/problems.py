"""What can go wrong with a request, by what must be done about it."""


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


class Unauthorized(RequestProblem):
    """401: the token is not accepted; read it again."""


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


def problem(status: int, what: str, message: str, retry_after: str | None = None) -> RequestProblem:
    """The problem for an HTTP status or an ERROR event's code.

    Args:
        status: the code.
        what: what was asked for, such as "list pods".
        message: the server's own words, bounded here.
        retry_after: the header, seconds as a decimal number.
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in message[:300]).split())
    sentence = f"the API server refuses to {what} ({status}){': ' if words else ''}{words}"
    if status == 403:
        sentence += "; apply the ClusterRole in manifests/base"
    seconds = float(retry_after) if retry_after and retry_after.replace(".", "", 1).isdigit() else None
    return _BY_STATUS.get(status, RequestProblem)(sentence, status, seconds)
