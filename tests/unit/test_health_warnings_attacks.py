"""What an independent judge found in the warnings about certificates: each `defect` fails today. The rest holds."""

import ssl
import time
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from tests.unit.certificates import Authority, _context, _in_days, _signed_again
from tests.unit.handler_calls import called
from tests.unit.misbehaving_servers import OK, answering, over_tls, serving, silent
from tests.unit.test_health_warnings import LIVE, WWW, both, https

defect = pytest.mark.xfail(strict=True, reason="found by the judge of readiness")


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    return Authority().trusted(tmp_path, monkeypatch)


@defect
def test_a_certificate_that_no_client_needs_is_no_reason(ca: Authority) -> None:
    """A chain with a cross-signed certificate that has expired, as Let's Encrypt's once, passes every check."""
    issued, old = ca._ca.issue_cert(WWW, not_after=_in_days(99)), trustme.CA()
    root = x509.load_pem_x509_certificate(ca._ca.cert_pem.bytes())
    former = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "DST Root CA X3")])
    cross_signed = _signed_again(root, old, former, root.subject, -900, -9)
    context = _context(issued.private_key_pem, [*issued.cert_chain_pems, cross_signed])
    with serving(over_tls(context, answering(OK))) as server:
        assert called(https(server))["soon"] == []


@defect
def test_a_certificate_that_expires_today_does_not_expire_in_0_days(ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW, ends=0.001), answering(OK))) as server:
        (sentence,) = called(https(server))["soon"]
    assert "in 0 days" not in sentence


@defect
def test_a_live_certificate_that_is_not_yet_valid_is_reported(ca: Authority) -> None:
    good = over_tls(ca.certified(WWW, ends=99), answering(OK))
    with both(good, over_tls(ca.certified(WWW, begins=2, ends=99), answering(OK))) as server:
        assert called(https(server), live=LIVE)["soon"]


@pytest.mark.parametrize("version", [pytest.param(ssl.TLSVersion.TLSv1_2, marks=defect), ssl.TLSVersion.TLSv1_3])
def test_the_certificate_of_a_live_server_that_wants_one_of_the_client_is_seen(
    ca: Authority, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    good, context = over_tls(ca.certified(WWW, ends=99), answering(OK)), ca.certified(WWW)
    context.maximum_version, context.verify_mode = version, ssl.CERT_REQUIRED
    context.load_verify_locations(str(tmp_path / "ca.pem"))
    with both(good, over_tls(context, answering(OK))) as server:
        result = called(https(server), live=LIVE)
    assert ["kai" in sentence for sentence in result["soon"]] == [True]


def test_20_checks_of_two_silent_or_expiring_servers_take_half_a_second(ca: Authority) -> None:
    with both(over_tls(ca.certified(WWW), answering(OK)), silent) as server:
        began = time.monotonic()
        checks = [https(server, path=f"/{number}", healthyThresholdCount=1) for number in range(20)]
        assert len(called(*checks, live=LIVE)["soon"]) == 1
        assert time.monotonic() - began < 2
