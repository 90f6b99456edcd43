"""What a health check may send and look for in the headers, and what a person is told when it is wrong."""

import json

import pytest

from tests.stacks.test_configuration import assert_only_problem, check
from tests.stacks.test_configuration_checks import Bad, configured, of_check

HEADER_NAME = "a header's name: 1 to 64 letters, digits and characters of !#$%&'*+-.^_`|~"
HEADER_VALUE = "a header's value: at most 1024 printable ASCII characters, no space at either end"
HOST = "a DNS name of at most 253 characters, no IP address"
LABEL = "a" * 63
LONGEST_NAME = ".".join([LABEL, LABEL, LABEL, "a" * 61])
TCHARS = "!#$%&'*+-.^_`|~09AZaz"


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"hostHeader": "a"}, id="shortest host"),
        pytest.param({"hostHeader": LONGEST_NAME}, id="longest host"),
        pytest.param({"hostHeader": f"{LONGEST_NAME}:65535"}, id="longest host with the highest port"),
        pytest.param({"hostHeader": "localhost:1"}, id="host with the lowest port"),
        pytest.param({"hostHeader": "1.xn--bcher-kva.A-1.example"}, id="host of digits, dashes and capitals"),
        pytest.param({"headers": {"a": ""}}, id="shortest header"),
        pytest.param({"headers": {f"X-{number}": "v" for number in range(20)}}, id="most headers"),
        pytest.param({"headers": {"n" * 64: "v" * 1024}}, id="longest header"),
        pytest.param({"headers": {TCHARS: "\"{% $x %}' \\ ~"}}, id="every character of a header's name"),
        pytest.param({"headers": {"Authorization": "Bearer x", "User-Agent": "probe"}}, id="usual headers"),
        pytest.param({"identityHeader": "i", "releaseHeader": TCHARS, "sharedHeader": "s" * 64}, id="header names"),
    ],
)
def test_the_bounds_themselves_are_allowed(keys: dict[str, object]) -> None:
    found = configured(**keys)
    assert found | keys == found


def host(value: object) -> Bad:
    return of_check("hostHeader", value, json.dumps(value)[:60], HOST)


def header(name: str, value: object, path: str, found: str, allowed: str) -> Bad:
    return check(headers={name: value}), f"pairs.web.healthCheck.headers{path}", found, allowed


def header_name(name: str) -> Bad:
    return header(name, "v", f"[{json.dumps(name)}]", f"the name {json.dumps(name)}", HEADER_NAME)


def header_value(value: object) -> Bad:
    return header("X-Probe", value, ".X-Probe", json.dumps(value)[:60], HEADER_VALUE)


def refused(name: str, why: str = "it would change how the answer is sent") -> Bad:
    return header(name, "x", f".{name}", f'the name "{name}"', f"any other header: {why}")


BAD: dict[str, Bad] = {
    "an empty host": host(""),
    "a host that is null": host(None),
    "a host that is a number": host(7),
    "a host in a list": host(["www.example.com"]),
    "a host with a label of 64 characters": host(f"{LABEL}a.example"),
    "a host of 254 characters": host(f"{LONGEST_NAME}a"),
    "a very long host": host("a." * 100_000 + "a"),
    "a host with an empty label": host("www..example.com"),
    "a host with a dot at its end": host("www.example.com."),
    "a host that begins with a dot": host(".example.com"),
    "a label that begins with a dash": host("-www.example.com"),
    "a label that ends with a dash": host("www-.example.com"),
    "a host with an underscore": host("my_app.example.com"),
    "a host for any name": host("*.example.com"),
    "a host beyond ASCII": host("b\u00fccher.example"),
    "a host with a full-width digit": host("www\uff11.example"),
    "a host that is a URL": host("http://www.example.com"),
    "a host with a path": host("www.example.com/health"),
    "a host with a user": host("me@www.example.com"),
    "a host with a space": host("www.example.com "),
    "a host with a newline": host("www.example.com\n"),
    "a host with a newline before its port": host("www.example.com\n:80"),
    "a host with a header behind it": host("www.example.com\r\nX-Evil: 1"),
    "a host with a null character": host("www.example.com\0"),
    "a host that is an IPv4 address": host("203.0.113.7"),
    "a host that is an IPv4 address with a port": host("203.0.113.7:80"),
    "a host that is an IPv4 address as one number": host("3405803783"),
    "a host that is an IPv6 address": host("[2001:db8::1]"),
    "a host with port 0": host("www.example.com:0"),
    "a host with port 65536": host("www.example.com:65536"),
    "a host with a port that begins with 0": host("www.example.com:080"),
    "a host with an empty port": host("www.example.com:"),
    "a host that is only a port": host(":80"),
    "no headers at all": of_check("headers", {}, "{}", "an object of 1 to 20 headers"),
    "21 headers": of_check("headers", {f"X-{n}": "" for n in range(21)}, '{"X-0"', "an object of 1 to 20 headers"),
    "headers that are null": of_check("headers", None, "null", "an object of 1 to 20 headers"),
    "headers in a list": of_check("headers", ["X-Probe: 1"], '["X-Probe: 1"]', "an object of 1 to 20 headers"),
    "a header without a name": header_name(""),
    "a header's name with a space": header_name("X Probe"),
    "a header's name with its colon": header_name("X-Probe:"),
    "a header's name with a line end": header_name("X\r\nHost"),
    "a header's name with a newline at its end": header_name("X-Probe\n"),
    "a header's name with a quote": header_name('X"'),
    "a header's name beyond ASCII": header_name("X-\u00e9"),
    "a header's name with a Kelvin sign": header_name("X-\u212a"),
    "a header's name of 65 characters": header(
        "x" * 65, "v", f'["{"x" * 59}… (67 characters)]', "the name", HEADER_NAME
    ),
    "a header's value with another header behind it": header_value("1\r\nX-Evil: 1"),
    "a header's value with a newline at its end": header_value("1\n"),
    "a header's value with a tab": header_value("a\tb"),
    "a header's value with a null character": header_value("a\0"),
    "a header's value with a delete character": header_value("a\x7f"),
    "a header's value beyond ASCII": header_value("\u00e9"),
    "a header's value that begins with a space": header_value(" v"),
    "a header's value that ends with a space": header_value("v "),
    "a header's value that is a space": header_value(" "),
    "a header's value of 1025 characters": header_value("v" * 1025),
    "a header's value that is a number": header_value(1),
    "a header's value that is null": header_value(None),
    "a header's value that is a list": header_value(["v"]),
    "headers whose names differ in case only": (
        check(headers={"X-Probe": "1", "x-probe": "2"}),
        "pairs.web.healthCheck.headers.x-probe",
        'a name like "X-Probe"',
        "names that differ in more than case",
    ),
    "Host among the headers": refused("Host", "hostHeader sets it"),
    "host among the headers": refused("host", "hostHeader sets it"),
    "Connection among the headers": refused("Connection"),
    "Content-Length among the headers": refused("Content-Length"),
    "Transfer-Encoding among the headers": refused("TRANSFER-ENCODING"),
    "Expect among the headers": refused("Expect"),
    "Upgrade among the headers": refused("Upgrade"),
    "TE among the headers": refused("te"),
    "Trailer among the headers": refused("Trailer"),
    "Accept-Encoding among the headers": refused("Accept-Encoding"),
    **{
        f"{key}: {json.dumps(value)[:20]}": of_check(key, value, json.dumps(value)[:60], HEADER_NAME)
        for key in ("identityHeader", "releaseHeader", "sharedHeader")
        for value in ("", "x" * 65, "X Server", "X-Server\r\n", "X-Server:", "X-\u00e9", None, 7, ["X-Server"])
    },
}


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BAD.values(), ids=BAD.keys())
def test_bad_headers_are_refused_with_their_path_and_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    assert_only_problem(context, path, found, allowed)
