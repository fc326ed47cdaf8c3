"""What a local check asks, as the URL that a flag gives.

Knows the forms of URLs that can be checked; makes no check.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"tcp": None, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """What a local check asks.

    Attributes:
        url: as it was given, for people.
        scheme: "tcp", "http" or "https".
        host: a name or an address.
        port: the TCP port.
        path: with its query; "" for tcp.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str = ""


def check_target(text: str) -> CheckTarget:
    """`tcp://HOST:PORT`, `http://HOST[:PORT]/PATH` or `https://…`."""
    must = "must be tcp://HOST:PORT, http://HOST:PORT/PATH or https://HOST:PORT/PATH"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(must) from None
    if not (text.isascii() and text.isprintable()) or " " in text or parts.scheme not in _PORTS:
        raise ValueError(must)
    port = port or _PORTS[parts.scheme]
    if not parts.hostname or not port or "@" in parts.netloc or parts.fragment:
        raise ValueError(must)
    if parts.scheme == "tcp" and (parts.path.strip("/") or parts.query):
        raise ValueError(f"{must}; a path is for http and https")
    path = "" if parts.scheme == "tcp" else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return CheckTarget(text, parts.scheme, parts.hostname, port, path)
