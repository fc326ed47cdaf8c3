"""A certificate authority of its own, made with the openssl program."""

import shutil
import ssl
import subprocess
from pathlib import Path


class TlsUnavailableError(RuntimeError):
    """There is no openssl program to make certificates with."""


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificates(folder: Path, hosts: tuple[str, ...]) -> tuple[ssl.SSLContext, Path]:
    """A server context for these addresses and names, and the file of the authority that signed it."""
    if shutil.which("openssl") is None:
        raise TlsUnavailableError("TLS needs the openssl program (apt-get install openssl)")
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key = folder / "ca.crt", folder / "ca.key"
    key, request, certificate = folder / "tls.key", folder / "tls.csr", folder / "tls.crt"
    names = ",".join(f"IP:{host}" if host[0].isdigit() or ":" in host else f"DNS:{host}" for host in hosts)
    extensions = folder / "extensions"
    extensions.write_text(
        f"subjectAltName={names}\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    if not certificate.exists():
        _openssl(
            *("req", "-x509", *curve, "-keyout", str(ca_key), "-out", str(ca), "-days", "30"),
            *("-subj", "/CN=embedded-kubernetes-ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        _openssl("req", *curve, "-keyout", str(key), "-out", str(request), "-subj", "/CN=kube-apiserver")
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial"),
            *("-out", str(certificate), "-days", "30", "-extfile", str(extensions)),
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, ca
