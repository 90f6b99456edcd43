"""What is no answer in HTTP, though something was sent, and what a person is shown of it."""

import pytest

from tests.unit.misbehaving_servers import answering, hanging_after, with_headers
from tests.unit.test_probe import CHUNKED, asked_of


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", 'sent what is not HTTP: "SSH-2.0-OpenSSH_9.6"'),
        (b"\x00\x1b[31m\xff\n", 'sent what is not HTTP: "??[31m?"'),
        (b"HTTP/1.1 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 OK"'),
        (b"HTTP/1.1 99999 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 99999 OK"'),
        (b"HTTP/2.0 200 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/2.0"'),
        (b"\r\n\r\n", 'sent what is not HTTP: ""'),
        (b"<html>" * 50, 'sent what is not HTTP: "<html><html><html><html><html><html><..."'),
        (with_headers(b"\x00\x01 noise"), 'sent what is not HTTP: the line "?? noise" among its headers'),
        (with_headers(b"X-Id : a"), 'sent what is not HTTP: the line "X-Id : a" among its headers'),
        (with_headers(b"X-\xe9: a"), 'sent what is not HTTP: the line "X-?: a" among its headers'),
        (
            with_headers(b"X-Id: a\rSet-Cookie: b"),
            'sent what is not HTTP: a bare CR in the line "X-Id: a?Set-Cookie: b"',
        ),
        (b"HTTP/1.1 2OO OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 2OO OK"'),
        (b"HTTP/1.1 0200 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 0200 OK"'),
        (b"HTTP/1.1 +20 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 +20 OK"'),
        (with_headers(b"Content-Length: 5"), 'sent what is not HTTP: its Content-Length is "5, 0"'),
        (with_headers(b"Content-Length: 0, 5"), 'sent what is not HTTP: its Content-Length is "0, 5, 0"'),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            'sent what is not HTTP: its Content-Length is "-5"',
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
            f'sent what is not HTTP: its Content-Length is "{"9" * 30}"',
        ),
        (CHUNKED + b"zz\r\nok", "sent what is not HTTP: a chunk of its body without a length"),
        (CHUNKED + b"-5\r\nok", "sent what is not HTTP: a chunk of its body without a length"),
    ],
)
def test_what_is_not_http_is_shown_without_its_control_characters(answer: bytes, error: str) -> None:
    assert asked_of(hanging_after(answer) if b"<html>" not in answer else answering(answer)).error == error


def test_a_content_length_that_is_said_twice_alike_is_one() -> None:
    assert asked_of(answering(with_headers(b"content-length: 0")), timeout=2).error is None


def test_a_header_may_go_on_in_the_next_line() -> None:
    found = asked_of(answering(with_headers(b"X-Id: a", b" b")), timeout=2)
    assert (found.status, found.error) == (200, None)


def test_lines_may_end_without_a_carriage_return() -> None:
    found = asked_of(answering(b"HTTP/1.1 200\nContent-Length: 2\n\nok"), timeout=2)
    assert (found.status, found.error, found.body) == (200, None, b"ok")
