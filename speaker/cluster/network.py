"""What breaks between us and the API server, and how it is told: in words, not in a library's.

Knows which exceptions mean that no whole answer came. Knows nothing of requests.
"""

import os
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import ClientError

LONGEST_WORDS = 200


def network_errors() -> tuple[type[OSError], type["ClientError"], type[TimeoutError]]:
    """What a request raises when no answer came or it broke off."""
    # It is slow to import, and commands without a cluster do not need it.
    from aiohttp import ClientError  # noqa: PLC0415

    return (OSError, ClientError, TimeoutError)


def unreachable(server: str, error: Exception) -> str:
    """One sentence for an error of the network.

    Args:
        server: the API server's URL.
        error: one of `network_errors`.
    """
    return f"the API server {server} cannot be reached: {words(error)}"


def words(error: Exception) -> str:
    """What happened, as a clause that goes on after a colon."""
    import aiohttp  # noqa: PLC0415 # see network_errors

    match error:
        case aiohttp.ClientConnectorCertificateError():
            text = _distrust(error.certificate_error)
        case aiohttp.ClientConnectorDNSError():
            text = f"the name {error.host} cannot be resolved"
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as cause):
            text = _tls(cause)
        case ssl.SSLError() | aiohttp.ClientOSError(__cause__=ssl.SSLError()):
            # Their errno is one of OpenSSL's, which is no errno of the system.
            text = _tls(error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error)
        case aiohttp.ServerDisconnectedError():
            text = "it closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            text = "its answer broke off"
        case TimeoutError():
            text = "it does not answer in time"
        case OSError(errno=int(number)) if number > 0:
            text = os.strerror(number)
            text = f"{text[:1].lower()}{text[1:]}"
        case _:
            text = " ".join(str(error).split())[:LONGEST_WORDS]
    return text or type(error).__name__


def _distrust(error: Exception) -> str:
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    return f"its certificate is not trusted ({why or 'it does not verify'}); check the CA"


def _tls(error: Exception) -> str:
    reason = str(getattr(error, "reason", None) or "it ended").replace("_", " ").lower()
    return f"no TLS connection comes about ({reason})"
