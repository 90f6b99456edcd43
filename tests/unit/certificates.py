"""Certificates for the servers of `misbehaving_servers`: of a CA that a test trusts, and of their own signing."""

import datetime
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """A CA, and the contexts of servers with certificates that it issued."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def trusted(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> "Authority":
        """Makes this CA the only one that the system trusts, until the test ends."""
        self._ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(folder / "none"))
        return self

    def certified(self, *names: str, begins: float = -2, ends: float = 1, chain: bool = True) -> ssl.SSLContext:
        """For these names, valid from so many days from now to so many; not `chain`: without an intermediate."""
        now = datetime.datetime.now(datetime.UTC)
        issuer = self._ca if chain else self._ca.create_child_ca()
        issued = issuer.issue_cert(*names, not_before=now + begins * DAY, not_after=now + ends * DAY)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        sent = b"".join(pem.bytes() for pem in issued.cert_chain_pems[: None if chain else 1])
        with trustme.Blob(issued.private_key_pem.bytes() + sent).tempfile() as pem:
            context.load_cert_chain(pem)
        return context


def self_signed(folder: Path, name: str = "somebody.example") -> ssl.SSLContext:
    """With a certificate of the server's own signing."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
