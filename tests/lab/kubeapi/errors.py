"""A refused request, as the API's Status object."""

from typing import Any

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    502: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """An answer other than success; `reason` as in metav1.StatusReason."""

    def __init__(
        self, code: int, message: str, reason: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or REASONS[code]
        self.details = details

    def status(self) -> dict[str, Any]:
        """The Status object."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        return body | ({"details": self.details} if self.details else {})


def number(name: str, text: str) -> int:
    """A parameter as a number, 0 when it is empty; raises ApiError 400."""
    if text and not (text.isascii() and text.isdigit()):
        raise ApiError(400, f"{name}: Invalid value: {text!r}: it is no number")
    return int(text or 0)


def not_found(resource: str, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, f'{resource} "{name}" not found', details={"name": name, "kind": resource})


def conflict(resource: str, name: str) -> ApiError:
    """Optimistic locking: somebody else wrote it meanwhile."""
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        details={"name": name, "kind": resource},
    )


def invalid(kind: str, name: str, causes: list[tuple[str, str]]) -> ApiError:
    """A value that the schema refuses; causes are (field, message)."""
    listed = [f"{field}: {message}" for field, message in causes]
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    return ApiError(
        422,
        f'{kind} "{name}" is invalid: {text}',
        details={
            "name": name,
            "kind": kind,
            "causes": [
                {"reason": "FieldValueInvalid", "message": message, "field": field}
                for field, message in causes
            ],
        },
    )
