"""Header values as they are compared: those that differ stay different, those that are the same stay the same."""

import pytest

from health.header_value import header_value, normalised


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tao", "tao"),
        ("a b\\c", "a b\\c"),
        ("a\tb\x1b[2J", "a\\tb\\x1b[2J"),
        ("gr\u00fcn", "gr\\xfcn"),
        ("\u732b", "\\u732b"),
        ("x" * 256, "x" * 256),
    ],
)
def test_a_value_is_printable(text: str, value: str) -> None:
    assert normalised(text) == value


def test_a_long_value_has_256_characters_and_differs_from_one_that_ends_otherwise() -> None:
    values = {normalised("x" * 256 + end) for end in "abc"}
    assert len(values) == 3
    assert {len(value) for value in values} == {256}


@pytest.mark.parametrize("text", ["tao", "\u732b\x00", "x" * 300, "\u732b" * 300])
def test_a_value_that_was_normalised_stays_as_it_is(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_what_a_server_sends_as_utf_8_is_what_a_person_configures() -> None:
    received = "gr\u00fcn".encode().decode("latin-1")
    assert header_value({"x-release": received}, "X-Release") == normalised("gr\u00fcn")
    assert header_value({"x-release": "gr\u00fcn"}, "X-Release") == normalised("gr\u00fcn"), "latin-1, as of old"


@pytest.mark.parametrize("name", [None, "X-Other"])
def test_a_header_that_is_not_there_has_no_value(name: str | None) -> None:
    assert header_value({"x-release": "1"}, name) is None
