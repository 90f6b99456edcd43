"""The TLS handshake of a probe, and in words what is wrong with a certificate."""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, cast

from health.deadline import Deadline
from health.result import Certificates, NoResponse, in_words, quoted

OPENSSL_NOISE = re.compile(r"^\[[^]]*\] ?| ?\(_ssl\.c:\d+\)")
# How a server that needs a name reacts to a client that does not send a name.
NAME_WANTED = ("UNRECOGNIZED_NAME", "HANDSHAKE_FAILURE", "INTERNAL_ERROR")
# What a server lacks if it is too old for the probe, by the end of OpenSSL's reason.
NO_LONGER_ACCEPTED = "the server signs the handshake with an algorithm that is no longer accepted, such as SHA-1"
LACKING = {
    **dict.fromkeys(("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION"), "the server offers no TLS 1.2 or 1.3"),
    "LEGACY_RENEGOTIATION_DISABLED": "the server does not support secure renegotiation (RFC 5746)",
    "HANDSHAKE_FAILURE": "the server shares no TLS version or cipher with the probe, or wants a client certificate",
    "INSUFFICIENT_SECURITY": "the server shares no cipher with the probe",
    "KEY_TOO_SMALL": "a key of the server is too short",
    **dict.fromkeys(("SIGNATURE_TYPE", "SIGALG_DISALLOWED_OR_UNSUPPORTED"), NO_LONGER_ACCEPTED),
}
NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
SHOWN_CERTIFICATE_NAMES = 3
# X509_V_ERR_* of OpenSSL's <openssl/x509_vfy.h>: the values of `SSLCertVerificationError.verify_code`.
OTHER_NAMES_CODES = (62, 64)
TIMES = {9: "is not yet valid", 10: "has expired"}
WRONG_CERTIFICATES = {
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not a known CA",
    **dict.fromkeys((20, 21), "its issuer is unknown, or the server does not send the intermediate certificate"),
}


def client_context(*, verified: bool) -> ssl.SSLContext:
    """One context for many probes, because loading the system's CAs takes longer than a server may take to answer. If
    not `verified`, any certificate is accepted, as by ELB: "The load balancer does not validate these certificates"
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html)."""
    context = ssl.create_default_context() if verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # OpenSSL would accept a name in the subject if there is no other name. Browsers ignore it.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextlib.contextmanager
def secured(
    connection: socket.socket, context: ssl.SSLContext, name: str | None, deadline: Deadline
) -> Iterator[ssl.SSLSocket]:
    """The connection under TLS, for `name` (SNI), which a context that verifies also compares. Raises NoResponse."""
    with contextlib.ExitStack() as opened:
        try:
            connection = context.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False)
            opened.enter_context(connection).do_handshake()
        except ssl.SSLCertVerificationError as failure:
            raise _refused(failure, name, certificates_of(connection)) from failure
        except ValueError as failure:
            raise NoResponse(f"TLS: {quoted(name)} cannot be the name of a server", "tls") from failure
        except OSError as failure:
            lack = lacking(failure)
            if deadline.is_set():
                error = f"no handshake within {deadline} (connected; does this port expect the PROXY protocol?)"
            elif isinstance(failure, ssl.SSLEOFError | ConnectionError):
                closed = "closed the connection during the handshake"
                error = f"{closed} (does this port expect the PROXY protocol, or offer no TLS 1.2?)"
            else:
                wanted = name is None and str(getattr(failure, "reason", "")).endswith(NAME_WANTED)
                shown = lack or tls_error(failure).removeprefix("TLS: ")
                error = f"{shown}{' (if it needs a name, configure hostHeader)' if wanted else ''}"
            raise NoResponse(f"TLS: {error}", "old tls" if lack else "tls", certificates_of(connection)) from failure
        yield connection


def _refused(failure: ssl.SSLCertVerificationError, name: str | None, certificates: Certificates) -> NoResponse:
    """For which names the certificate is, if not for `name`; whether it is out of date, or one above it."""
    code, error = failure.verify_code, WRONG_CERTIFICATES.get(failure.verify_code, str(failure.verify_message))
    for ends, begins, names in certificates[:1]:
        if code in OTHER_NAMES_CODES:
            error = f"it is not for {quoted(name)} but for {names}"
        elif code in TIMES and begins <= time.time() <= ends:
            above = f"the one above the server's (an intermediate or a CA) {TIMES[code]}; the server's own is valid"
            return NoResponse(f"certificate: {above}", "issuer", certificates)
        elif code in TIMES:
            error = f"it {TIMES[9 if time.time() < begins else 10]}"
    return NoResponse(f"certificate: {error}", "certificate", certificates)


def certificates_of(connection: socket.socket) -> Certificates:
    """The server's own certificate, also if it is refused, and the first to expire of the others that verified it, or
    if nothing did, of the others that the server sent. It may send certificates that no client needs."""
    # As old as 3.10. Python 3.13's public methods of these names return DER, which the standard library cannot read.
    certificates, tls = [], cast("Any", connection)
    with contextlib.suppress(Exception):  # nothing fails without it
        verified = tls.context.verify_mode == ssl.CERT_REQUIRED and tls.version()  # None before the handshake is over
        for each in tls._sslobj.get_verified_chain() if verified else tls._sslobj.get_unverified_chain():
            read = each.get_info()
            ends, begins = (ssl.cert_time_to_seconds(read[key]) for key in ("notAfter", "notBefore"))
            certificates.append((ends, begins, _names(read)))
    return (*certificates[:1], *sorted(certificates[1:])[:1])


def _names(certificate: dict[str, Any]) -> str:
    """Without alternative names, as for a CA, the last name of the subject, which is its common name."""
    named = certificate.get("subjectAltName") or [pair for pairs in certificate["subject"] for pair in pairs][-1:]
    names = [quoted(value[1]) for value in named if len(value) == 2]
    shown = ", ".join(names[:SHOWN_CERTIFICATE_NAMES]) or "no name at all"
    more = len(names) - SHOWN_CERTIFICATE_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def lacking(failure: OSError) -> str | None:
    """What the probe needs and the server lacks; None if the handshake failed for another reason."""
    reason = str(getattr(failure, "reason", ""))
    return next((LACKING[end] for end in LACKING if reason.endswith(end)), None)


def tls_error(failure: OSError) -> str:
    if not isinstance(failure, ssl.SSLError):
        return in_words(failure)
    code = str(getattr(failure, "reason", None) or "")
    if code.endswith("CERTIFICATE_REQUIRED"):
        return "TLS: the server asks for a client certificate"
    reason = (code or OPENSSL_NOISE.sub("", str(failure))).replace("_", " ").lower()
    hint = " (does this port speak HTTP, or expect the PROXY protocol?)" if code in NO_TLS_THERE else ""
    return f"TLS: {reason}{hint}"
