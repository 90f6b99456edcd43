"""Shortened header values: different values stay different, and equal values stay equal."""

import pytest

from health.verdict import header_value


def value(text: str) -> str | None:
    return header_value({"x-release": text}, "X-Release")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tao", "tao"), (" a b\\c ", "a b\\c"), ("a\tb\x1b[2J", "a\\tb\\x1b[2J"), ("gr\u00fcn", "gr\\xfcn"),
        ("gr\u00fcn".encode().decode("latin-1"), "gr\\xfcn"), ("\u732b", "\\u732b"), ("x" * 256, "x" * 256),
        (" ", None),
    ],
)  # fmt: skip
def test_a_value_is_printable_whether_it_was_sent_as_utf_8_or_as_latin_1(text: str, expected: str | None) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("name", [None, "X-Other"])
def test_a_missing_header_has_no_value(name: str | None) -> None:
    assert header_value({"x-release": "1"}, name) is None


def test_a_long_value_has_256_characters_and_differs_from_a_value_with_another_end() -> None:
    values = {str(value("x" * 256 + end)) for end in "abc"}
    assert len(values) == 3
    assert {len(each) for each in values} == {256}


@pytest.mark.parametrize("text", ["tao", "\u732b\x00", "x" * 300, "\u732b" * 300])
def test_a_value_that_was_read_already_stays_as_it_is(text: str) -> None:
    assert value(str(value(text))) == value(text)
