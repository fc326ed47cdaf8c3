"""Where the API server is and who we are to it, as a value.

Knows nothing of where that was read (`kubeconfig`, `credentials`), and sends nothing. A token never
appears in a text from here.
"""

import hashlib
import ssl
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path


class Unusable(Exception):  # noqa: N818 # a reason, which `credentials` makes an error for people
    """A kubeconfig or a ServiceAccount cannot be used; the text says why, as a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One reading of the configuration.

    Attributes:
        server: the API server's URL, without a slash at its end.
        authorization: the header that proves who we are; None proves it by certificate, or not at all.
        ca_file: who signed the server's certificate, PEM.
        ca_text: the same where it has no file of its own. Without both it is whom the system trusts.
        certificate_file: the client's certificate, PEM.
        key_file: its key.
        verifies: whether the server's certificate is looked at.
        tls_server_name: whose certificate it must be; None takes the name in the URL.
        proxy: the URL of an HTTP proxy, which may hold a password; None takes what the environment says.
    """

    server: str
    authorization: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    ca_text: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    verifies: bool = True
    tls_server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)

    def identity(self) -> str:
        """A digest of everything but the token that a connection is made with.

        Raises:
            OSError: a file that it names cannot be read.
        """
        digest = hashlib.sha256(repr(astuple(replace(self, authorization=None))).encode())
        for path in (self.ca_file, self.certificate_file, self.key_file):
            content = Path(path).read_bytes() if path else b""
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def tls(self) -> ssl.SSLContext | None:
        """How to speak TLS with the server; None where it speaks none.

        Raises:
            OSError: a certificate cannot be read; of these an `ssl.SSLError` where it is none.
        """
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_text)
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def bearer(text: str) -> str:
    """The Authorization header for a token file's content; HTTP refuses the newline it may end with."""
    return f"Bearer {text.strip()}"
