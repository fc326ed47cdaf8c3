"""A certificate authority of its own, made with the openssl program."""

import shutil
import ssl
import subprocess
from pathlib import Path

DAYS = "30"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class TlsUnavailableError(RuntimeError):
    """There is no openssl program to make certificates with."""


class Authority:
    """Signs certificates; what it has made before in its folder stays.

    Args:
        folder: for keys and certificates.

    Attributes:
        certificate: the authority's own.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise TlsUnavailableError("TLS needs the openssl program (apt-get install openssl)")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / "ca.crt", folder / "ca.key"
        if not self.certificate.exists():
            _openssl(
                *("req", "-x509", *_CURVE, "-keyout", str(self._key), "-out", str(self.certificate)),
                *("-days", DAYS, "-subj", "/CN=lab-ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            )

    def issue(
        self, name: str, *, hosts: tuple[str, ...] = (), subject: str = "/CN=kube-apiserver"
    ) -> tuple[Path, Path]:
        """A certificate and its key, in files called `name`: a server's for these hosts, else a client's."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        if certificate.exists():
            return certificate, key
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        names = ",".join(
            f"IP:{host}" if host[0].isdigit() or ":" in host else f"DNS:{host}" for host in hosts
        )
        extensions.write_text(
            (f"subjectAltName={names}\n" if names else "")
            + f"keyUsage=critical,digitalSignature\nextendedKeyUsage={'server' if hosts else 'client'}Auth\n"
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        _openssl("req", *_CURVE, "-keyout", str(key), "-out", str(request), "-subj", subject)
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-CAcreateserial", "-out", str(certificate), "-days", DAYS, "-extfile", str(extensions)),
        )
        return certificate, key


def make_certificates(folder: Path, hosts: tuple[str, ...]) -> tuple[ssl.SSLContext, Path]:
    """A server context for these addresses and names, and the file of the authority that signed it."""
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("tls", hosts=hosts))
    return context, authority.certificate


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
