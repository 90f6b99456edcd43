"""Certificates for the servers of `misbehaving_servers`: of a CA that a test trusts, and self-signed."""

import datetime
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
        issuer = self._ca if chain else self._ca.create_child_ca()
        issued = issuer.issue_cert(*names, not_before=_in_days(begins), not_after=_in_days(ends))
        return _context(issued.private_key_pem, issued.cert_chain_pems[: None if chain else 1])

    def certified_below(
        self, intermediate: tuple[float, float], *names: str, ends: float = 1, issuer: str = "R11"
    ) -> ssl.SSLContext:
        """The same, issued by an intermediate CA of this name that is valid from so many days from now to so many."""
        child = self._ca.create_child_ca()
        issued = child.issue_cert(*names)
        pems = (issued.cert_chain_pems[0], child.cert_pem)
        own, above = (x509.load_pem_x509_certificate(pem.bytes()) for pem in pems)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
        chain = [
            _signed_again(own, child, subject, own.subject, -9, ends),
            _signed_again(above, self._ca, above.issuer, subject, *intermediate),
        ]
        return _context(issued.private_key_pem, chain)

    def cross_signed(self, *names: str, begins: float = -2, ends: float = 99) -> ssl.SSLContext:
        """The same, issued by this CA, and sent with a certificate of this CA from an older one, which has expired."""
        issued = self._ca.issue_cert(*names, not_before=_in_days(begins), not_after=_in_days(ends))
        older = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "DST Root CA X3")])
        own = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        unneeded = _signed_again(own, trustme.CA(), older, own.subject, -900, -9)
        return _context(issued.private_key_pem, [*issued.cert_chain_pems, unneeded])


def _signed_again(
    old: x509.Certificate, ca: trustme.CA, issuer: x509.Name, subject: x509.Name, begins: float, ends: float
) -> trustme.Blob:
    """The same certificate with these names and times, signed by this CA."""
    signing = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key, extensions = old.public_key(), [*old.extensions]
    new = x509.CertificateBuilder(issuer, subject, key, old.serial_number, extensions=extensions)
    new = new.not_valid_before(_in_days(begins)).not_valid_after(_in_days(ends))
    return trustme.Blob(new.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _in_days(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + days * DAY


def self_signed() -> ssl.SSLContext:
    """With a certificate of the server's own signing, here that of a CA."""
    ca = trustme.CA()
    return _context(ca.private_key_pem, [ca.cert_pem])


def _context(key: trustme.Blob, certificates: Iterable[trustme.Blob]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pems = b"".join(blob.bytes() for blob in (key, *certificates))
    with trustme.Blob(pems).tempfile() as pem:
        context.load_cert_chain(pem)
    return context
