"""The value of a header as it is compared, returned and shown: printable ASCII of at most 256 characters.

Two values that differ stay different: what cannot be shown is escaped and not replaced, and a long value ends in its
digest. A value in this form already stays as it is.
"""

import contextlib
import hashlib
from collections.abc import Mapping

VALUE_CHARACTERS = 256
DIGEST_CHARACTERS = 16


def header_value(headers: Mapping[str, str], name: str | None) -> str | None:
    """The value of this header of an answer, None where it is missing or empty; `headers` by lower-case name."""
    found = headers.get(name.lower(), "") if name else ""
    with contextlib.suppress(UnicodeError):
        # `http.client` reads every byte as one character; people configure UTF-8.
        found = found.encode("latin-1").decode()
    return normalised(found.strip()) or None


def normalised(text: str) -> str:
    escaped = "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode("ascii") for one in text)
    if len(escaped) <= VALUE_CHARACTERS:
        return escaped
    digest = hashlib.sha256(escaped.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{escaped[: VALUE_CHARACTERS - DIGEST_CHARACTERS - 4]}...#{digest}"
