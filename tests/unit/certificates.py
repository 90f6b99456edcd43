"""Certificates for the servers of `misbehaving_servers`: of a CA that a test trusts, and self-signed."""

import datetime
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest
import trustme

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
        return _context(issued.private_key_pem, issued.cert_chain_pems[: None if chain else 1])


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
