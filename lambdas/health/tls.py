"""The TLS handshake of a probe, and in words what is wrong with a certificate."""

import re
import socket
import ssl
import time
from typing import Any

from health.deadline import Deadline
from health.result import NoResponse, in_words, quoted

OPENSSL_NOISE = re.compile(r"^\[[^]]*\] ?| ?\(_ssl\.c:\d+\)")
# How a server that needs a name reacts to a client that does not send a name.
NAME_WANTED = ("UNRECOGNIZED_NAME", "HANDSHAKE_FAILURE", "INTERNAL_ERROR")
# What a server lacks if it is too old for the probe, by the end of OpenSSL's reason.
NO_TLS_1_2 = "the server offers no TLS 1.2 or 1.3"
LACKING = {
    "UNSUPPORTED_PROTOCOL": NO_TLS_1_2,
    "PROTOCOL_VERSION": NO_TLS_1_2,
    "LEGACY_RENEGOTIATION_DISABLED": "the server does not support secure renegotiation (RFC 5746)",
    "HANDSHAKE_FAILURE": "the server shares no TLS version or cipher with the probe, or wants a client certificate",
    "INSUFFICIENT_SECURITY": "the server shares no cipher with the probe",
    "KEY_TOO_SMALL": "a key of the server is too short",
    "SIGNATURE_TYPE": "the server signs the handshake with an algorithm that is no longer accepted, such as SHA-1",
    "SIGALG_DISALLOWED_OR_UNSUPPORTED": "the server signs with an algorithm that is no longer accepted, such as SHA-1",
}
NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
SHOWN_CERTIFICATE_NAMES = 3
# X509_V_ERR_* of OpenSSL's <openssl/x509_vfy.h>: the values of `SSLCertVerificationError.verify_code`.
OTHER_NAMES_CODES = (62, 64)
TIMES = {9: "is not yet valid", 10: "has expired"}
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of the same file
UNKNOWN_ISSUER = "its issuer is unknown, or the server does not send the intermediate certificate"
WRONG_CERTIFICATES = {
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not a known CA",
    20: UNKNOWN_ISSUER,
    21: UNKNOWN_ISSUER,
}


class WrongCertificate(NoResponse):
    """The certificate's names or times are wrong. A second handshake shows which: see `seen_again`."""

    def __init__(self, error: str, code: int) -> None:
        super().__init__(f"certificate: {error}", "certificate")
        self.code = code


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


def secured(connection: socket.socket, context: ssl.SSLContext, name: str | None, deadline: Deadline) -> ssl.SSLSocket:
    """The connection under TLS. The server is asked for `name` (SNI); a context that verifies compares it as well.
    Raises NoResponse, and WrongCertificate if a second handshake can say more."""
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as failure:
        if failure.verify_code in OTHER_NAMES_CODES:
            raise WrongCertificate(f"it is not for {quoted(name)}", failure.verify_code) from failure
        if wrong := TIMES.get(failure.verify_code):
            raise WrongCertificate(f"it, or a certificate above it, {wrong}", failure.verify_code) from failure
        wrong = WRONG_CERTIFICATES.get(failure.verify_code, str(failure.verify_message))
        raise NoResponse(f"certificate: {wrong}", "certificate") from failure
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
        raise NoResponse(f"TLS: {error}", "old tls" if lack else "tls") from failure


def seen_again(failure: WrongCertificate, connection: socket.socket, name: str | None) -> NoResponse:
    """For which names the certificate is, if not for `name`; or whether it is out of date, or one above it. Python does
    not show a certificate that it has refused, so a second handshake accepts it. Raises OSError."""
    context, is_for_others = ssl.create_default_context(), failure.code in OTHER_NAMES_CODES
    context.check_hostname = not is_for_others
    context.verify_flags |= ssl.VerifyFlags(0 if is_for_others else NO_CHECK_TIME)
    with context.wrap_socket(connection, server_hostname=name) as trusted:
        certificate: dict[str, Any] = trusted.getpeercert() or {}
    if is_for_others:
        return NoResponse(f"{failure} but for {_names(certificate)}", "certificate")
    begins, ends = (ssl.cert_time_to_seconds(certificate[key]) for key in ("notBefore", "notAfter"))
    now = time.time()
    if begins <= now <= ends:
        above = f"the one above the server's (an intermediate or a CA) {TIMES[failure.code]}; the server's own is valid"
        return NoResponse(f"certificate: {above}", "issuer")
    return NoResponse(f"certificate: it {TIMES[9 if now < begins else 10]}", "certificate")


def _names(certificate: dict[str, Any]) -> str:
    names = [quoted(value[1]) for value in certificate.get("subjectAltName", ()) if len(value) == 2]
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
