"""The TLS handshake of a probe, and what is wrong with a certificate, in words."""

import re
import socket
import ssl

from health.deadline import Deadline
from health.result import NoResponse, in_words, quoted

OPENSSL_NOISE = re.compile(r"^\[[^]]*\] ?| ?\(_ssl\.c:\d+\)")
# How servers that need a name react to a client that sends none.
NAME_WANTED = ("UNRECOGNIZED_NAME", "HANDSHAKE_FAILURE", "INTERNAL_ERROR")
NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
SHOWN_CERTIFICATE_NAMES = 3
# X509_V_ERR_* of OpenSSL's <openssl/x509_vfy.h>: the values of `SSLCertVerificationError.verify_code`.
OTHER_NAMES_CODES = (62, 64)
UNKNOWN_ISSUER = "its issuer is not known here, or the server does not send the intermediate certificate"
WRONG_CERTIFICATES = {
    9: "it is not yet valid",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is no CA known here",
    20: UNKNOWN_ISSUER,
    21: UNKNOWN_ISSUER,
}


class OtherNames(NoResponse):
    """The certificate is trusted, but it is not for the name that was asked for."""


def client_context(*, verified: bool) -> ssl.SSLContext:
    """For many probes, because loading the system's CAs takes longer than a server may take to answer.

    Unverified, any certificate is accepted, as by ELB: "The load balancer does not validate these certificates"
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html).
    """
    context = ssl.create_default_context() if verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # OpenSSL would accept a name in the subject if there is no other. Browsers have long ignored it.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context


def secured(connection: socket.socket, context: ssl.SSLContext, name: str | None, deadline: Deadline) -> ssl.SSLSocket:
    """The connection under TLS. The server is asked for `name` (SNI); a context that verifies compares it as well.

    Raises NoResponse, and OtherNames if the certificate is for other names.
    """
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as failure:
        if failure.verify_code in OTHER_NAMES_CODES:
            raise OtherNames(f"certificate: it is not for {quoted(name)}", "certificate") from failure
        wrong = WRONG_CERTIFICATES.get(failure.verify_code, str(failure.verify_message))
        raise NoResponse(f"certificate: {wrong}", "certificate") from failure
    except ValueError as failure:
        raise NoResponse(f"TLS: {quoted(name)} cannot be the name of a server", "tls") from failure
    except OSError as failure:
        if deadline.is_set():
            error = f"TLS: no handshake within {deadline} (connected)"
        elif isinstance(failure, ssl.SSLEOFError | ConnectionError):
            error = "TLS: closed the connection during the handshake"
        else:
            wanted = name is None and str(getattr(failure, "reason", "")).endswith(NAME_WANTED)
            error = f"{tls_error(failure)}{' (if it needs a name, configure hostHeader)' if wanted else ''}"
        raise NoResponse(error, "tls") from failure


def certificate_names(connection: socket.socket, name: str | None) -> str:
    """The names that a trusted certificate is for, in words. Raises OSError.

    Python does not show a certificate that it has refused, so this takes a second handshake.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    with context.wrap_socket(connection, server_hostname=name) as trusted:
        certificate = trusted.getpeercert() or {}
    alternatives = certificate.get("subjectAltName", ())
    names = [quoted(value[1]) for value in alternatives if len(value) == 2 and isinstance(value, tuple)]
    shown = ", ".join(names[:SHOWN_CERTIFICATE_NAMES]) or "no name at all"
    more = len(names) - SHOWN_CERTIFICATE_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def tls_error(failure: OSError) -> str:
    if not isinstance(failure, ssl.SSLError):
        return in_words(failure)
    code = str(getattr(failure, "reason", None) or "")
    if code.endswith("CERTIFICATE_REQUIRED"):
        return "TLS: the server asks for a client certificate"
    reason = (code or OPENSSL_NOISE.sub("", str(failure))).replace("_", " ").lower()
    return f"TLS: {reason}{' (does this port speak HTTP?)' if code in NO_TLS_THERE else ''}"
