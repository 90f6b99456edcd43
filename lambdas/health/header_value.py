"""The value of a header as it is compared, returned and shown: printable ASCII of at most 256 characters. Values that
differ stay different: unprintable characters are escaped, and a long value ends in its digest."""

import contextlib
import hashlib
from collections.abc import Mapping

HEADER_VALUE_CHARACTERS, DIGEST_CHARACTERS = 256, 16


def header_value(headers: Mapping[str, str], name: str | None) -> str | None:
    """The value of this header, from `headers` by lower-case name; None if empty. A normalised value stays the same."""
    value = headers.get(name.lower(), "") if name else ""
    with contextlib.suppress(UnicodeError):  # `http.client` reads every byte as one character; people configure UTF-8
        value = value.encode("latin-1").decode()
    escaped = "".join(each if " " <= each <= "~" else each.encode("unicode_escape").decode() for each in value.strip())
    if len(escaped) <= HEADER_VALUE_CHARACTERS:
        return escaped or None
    digest = hashlib.sha256(escaped.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{escaped[: HEADER_VALUE_CHARACTERS - DIGEST_CHARACTERS - 4]}...#{digest}"
