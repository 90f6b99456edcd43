"""The TLS handshake of a probe, and what is wrong with a certificate, in words."""

import re
import socket
import ssl

from domain.text import printable
from health.deadline import Deadline, NoAnswer, in_words

OPENSSL_NOISE = re.compile(r"^\[[^]]*\] ?| ?\(_ssl\.c:\d+\)")
# What servers that need a name say to a client that gives none.
NAME_WANTED = ("UNRECOGNIZED_NAME", "HANDSHAKE_FAILURE", "INTERNAL_ERROR")
NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
SHOWN_NAMES = 3
NAME_CHARACTERS = 40
# X509_V_ERR_* of OpenSSL's <openssl/x509_vfy.h>: what `SSLCertVerificationError.verify_code` is.
OTHER_NAMES = (62, 64)
WRONG_CERTIFICATES = {
    9: "it is not yet valid",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is no CA known here",
    20: "its issuer is not known here, or the server does not send the intermediate certificate",
    21: "its issuer is not known here, or the server does not send the intermediate certificate",
}


class OtherNames(NoAnswer):
    """The certificate is a trusted one, and not for the name asked for."""


def client_context(*, verified: bool) -> ssl.SSLContext:
    """For all probes of a check, since the system's CAs take longer to load than a server may take to answer.

    Unverified, any certificate will do, as for a target group: "The load balancer does not validate these
    certificates" (Elastic Load Balancing, Target groups for your Application Load Balancers, Routing configuration:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html).
    """
    context = ssl.create_default_context() if verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Browsers have long ignored names in the subject; OpenSSL alone would take one where there are no others.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context


def secured(connection: socket.socket, context: ssl.SSLContext, name: str | None, deadline: Deadline) -> ssl.SSLSocket:
    """The connection under TLS. `name` is asked for (SNI), and with a context that verifies the certificate is for it.

    Raises NoAnswer, and OtherNames where the certificate is for others.
    """
    try:
        connection.settimeout(deadline.left())
        return context.wrap_socket(connection, server_hostname=name)
    except TimeoutError:
        raise NoAnswer(f"TLS: no handshake within {deadline} (connected)", "tls") from None
    except ssl.SSLCertVerificationError as failure:
        if failure.verify_code in OTHER_NAMES:
            raise OtherNames(f"certificate: it is not for {_quoted(str(name))}", "certificate") from failure
        wrong = WRONG_CERTIFICATES.get(failure.verify_code, str(failure.verify_message))
        raise NoAnswer(f"certificate: {wrong}", "certificate") from failure
    except (ssl.SSLEOFError, ConnectionError) as failure:
        raise NoAnswer("TLS: closed the connection during the handshake", "tls") from failure
    except OSError as failure:
        wanted = name is None and str(getattr(failure, "reason", "")).endswith(NAME_WANTED)
        hint = " (if it needs a name, configure hostHeader)" if wanted else ""
        raise NoAnswer(f"{tls_error(failure)}{hint}", "tls") from failure
    except ValueError as failure:
        raise NoAnswer(f"TLS: {_quoted(str(name))} cannot be the name of a server", "tls") from failure


def certificate_names(connection: socket.socket, name: str | None, deadline: Deadline) -> str:
    """The names that a trusted certificate is for, in words. Raises OSError.

    Python does not show a certificate that it has refused, so this takes a handshake of its own.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    connection.settimeout(deadline.left())
    with context.wrap_socket(connection, server_hostname=name) as trusted:
        certificate = trusted.getpeercert() or {}
    held = certificate.get("subjectAltName", ())
    names = [str(value[1]) for value in held if len(value) == 2 and isinstance(value, tuple)]
    shown = ", ".join(_quoted(one) for one in names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown or "no name at all"


def tls_error(failure: OSError) -> str:
    if not isinstance(failure, ssl.SSLError):
        return in_words(failure)
    code = str(getattr(failure, "reason", None) or "")
    if code.endswith("CERTIFICATE_REQUIRED"):
        return "TLS: the server asks for a client certificate"
    reason = (code or OPENSSL_NOISE.sub("", str(failure))).replace("_", " ").lower()
    return f"TLS: {reason}{' (does this port speak HTTP?)' if code in NO_TLS_THERE else ''}"


def _quoted(name: str) -> str:
    return f'"{printable(name, NAME_CHARACTERS)}"'
