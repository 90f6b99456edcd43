"""The messages of a health check that fails."""

import re
from dataclasses import replace
from typing import get_args

import pytest

from domain.text import printable
from health.check import Check
from health.messages import WHAT_TO_DO, alarm_message, bake_message, unhealthy_message
from health.polling import Polled
from health.result import Failure, Probe
from health.verdict import Kind, Unhealthy, decide, findings_in_words
from tests.unit.checks import BAD, CHECK, GOOD, REFUSED, answer, check, failed, findings, production


def ended(checked: Check, *probes: Probe, reason: str | None = None, next_seconds: float | None = None) -> Polled:
    """What is decided at `next_seconds`; without it, unhealthy for this reason or for what the probes found."""
    seen = findings(checked, list(probes))
    verdict = Unhealthy(reason or findings_in_words(checked, seen))
    decided = verdict if next_seconds is None else decide(checked, seen, next_seconds)
    return Polled(checked, decided, seen, len(seen))


def message(checked: Check, *probes: Probe, next_seconds: float | None = None) -> str:
    return unhealthy_message(ended(checked, *probes, next_seconds=next_seconds))


def test_a_message_says_what_was_checked_what_was_found_and_what_to_do() -> None:
    reason = "3 probes in a row failed: expected status 200, found 500, 500, 500"
    assert unhealthy_message(ended(CHECK, GOOD, BAD, BAD, BAD, reason=reason)) == (
        "tao (i-0bbbbbbbbbbbbbbbb) is not healthy through the staging address, at http://203.0.113.11:80/health: "
        "3 probes in a row failed: expected status 200, found 500, 500, 500 (4 probes in all). "
        "Check the log of the application on tao."
    )


def test_if_there_are_several_checks_the_message_says_how_many_failed() -> None:
    tcp = check(protocol="TCP", port=5432)
    assert unhealthy_message(ended(tcp, REFUSED), failed=1, checks=3).startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) is not healthy through the staging address, 1 of 3 checks, at "
        "tcp://203.0.113.11:5432: connection refused (1 probe in all). "
    )


def test_a_message_of_a_bake_says_so() -> None:
    assert bake_message(ended(production(), BAD, BAD, BAD, reason="why"), failed=2, checks=2).startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) became unhealthy during the bake through the production address, "
        "2 of 2 checks, at http://203.0.113.7:80/health: why (3 probes in all). "
    )


def test_a_message_about_an_alarm_names_the_server_that_still_answers() -> None:
    text = alarm_message(production(), "the alarm X is in ALARM")
    assert text.startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) is healthy through the production address, at 203.0.113.7, but during the bake "
        "the alarm X is in ALARM. Check "
    )
    assert len(alarm_message(production(), "x" * 2000)) < 1000


TO_LONG_LOCATION = Probe(302, 5, headers={"location": "https://www.example.com/" + "l" * 200 + "\x1b"})


@pytest.mark.parametrize(
    ("checked", "probe", "advice"),
    [
        (CHECK, REFUSED, "tao was reached, but nothing accepts connections on its port 80: check that the application"),
        (CHECK, failed("unreachable", "no"), "security group and network ACL let the internet in"),
        (check(via="private"), failed("unreachable", "no"), "network ACL let this function's subnets in"),
        (check(protocol="HTTPS", port=443), failed("tls", "TLS: eof"), "speaks HTTPS on port 443"),
        (check(protocol="HTTPS", hostHeader="www.example.com:8443"), failed("certificate", "certificate: expired"),
         "the certificate that the web server on tao sends for www.example.com, and whether the server was reloaded"),
        (CHECK, failed("no answer", "no answer within 2 s"), "whether its application hangs"),
        (CHECK, failed("incomplete", "no complete answer", 200), "it begins its answers and does not finish them."),
        (CHECK, Probe(302, 5), "A redirect is not followed: configure the path that it leads to, or let the matcher"),
        (CHECK, TO_LONG_LOCATION, "A redirect is not followed: it leads to https://www.example.com/llll"),
        (CHECK, Probe(401, 5), "requires credentials: use a path that requires none."),
        (CHECK, Probe(403, 5), "requires credentials: use a path that requires none."),
        (CHECK, Probe(429, 5), "limits the rate of requests: raise intervalSeconds, or exempt the health check."),
        (CHECK, Probe(400, 5, body=b"Bad Host", headers={"content-type": "text/html"}),
         "configure hostHeader. The answer is 8 bytes of text/html."),
        (check(protocol="HTTPS"), failed("old tls", "TLS: old"), "needs TLS 1.2 or 1.3 with secure renegotiation"),
        (check(protocol="HTTPS"), failed("issuer", "certificate: the one above the server's"),
         "Replace the certificates that the web server on tao sends after its own"),
        (CHECK, Probe(400, 5), "Host header is 203.0.113.11; if it needs a name, configure hostHeader."),
        (check(hostHeader="www.example.com"), Probe(404, 5), "accepts a request whose Host header is www.example.com."),
        (CHECK, Probe(503, 5), "Check the log of the application on tao."),
        (check(maxLatencyMs=5), GOOD, "Check the load of tao and what its application waits for"),
        (check(bodyContains="ok"), answer(b"sorry"), "Check what tao answers at this path"),
        (check(expected_release="42", releaseHeader="X-Release"), answer(X_Release="41"),
         "The release was not deployed to tao, or its application was not restarted afterwards."),
        (check(identityHeader="X-Id"), GOOD, "send this header, or remove identityHeader from cdk.json."),
        (check(sharedHeader="X-Store"), GOOD, "send this header, or remove sharedHeader from cdk.json."),
        (production(identity_header="X-Id", expected_identity="tao"), answer(X_Id="kai"),
         "Check for a cache or proxy in front of tao"),
        (check(startPeriodSeconds=5), REFUSED, "If it needs longer to start, raise startPeriodSeconds."),
    ],
)  # fmt: skip
def test_a_message_says_what_to_do_about_the_last_bad_probe(checked: Check, probe: Probe, advice: str) -> None:
    assert advice in message(checked, BAD, probe)


LOCATIONS = {
    "/login?next=%2F&token=hunter2": "/login", "/login#hunter2": "/login", "/login;jsessionid=hunter2": "/login",
    "?token=hunter2": "itself", "https://me:hunter2@a.example:8443/b/?hunter2": "https://a.example:8443/b/",
    "//hunter2@a.example/b": "//a.example/b", "https:\\\\me:hunter2@a.example\\b": "https:\\\\a.example\\b",
    f"https://{'hunter2' * 90}@a.example/": "https://a.example/", "https://me:p@hunter2@a.example/": "https://a.example/",
    "https://me:p#hunter2@a.example/": "https://...", "https:/me:hunter2@a.example": "https:/a.example",
    "me:hunter2@a.example/b": "...", "https://a.example/@b?c=me@hunter2": r"https://a.example/\x40b",
    "/login%3Ftoken=hunter2": "/login", "/login%253ftoken%253dhunter2": "/login", "/x&token=hunter2": "/x",
    "/x%26hunter2": "/x", "/token=hunter2": "/token", "/x%3Bhunter2": "/x", "/x%23hunter2": "/x", "/t%3Dhunter2": "/t",
    "https://me:pa/hunter2@a.example/b": "https://...", "https://me:12/hunter2@a.example/b": "https://...",
    "https://me:p?hunter2@a.example": "https://...", "https://me:hunter2%40a.example/": "https://...",
    "https://me:p&q=hunter2@a.example/b": "https://a.example/b", "https:///me:hunter2@a.example": "https:///a.example",
    "/\\me:hunter2@a.example": "/\\a.example", "/\t/me:hunter2@a.example": "//a.example", "hunter2:me@a.example": "...",
    "\1//me:hunter2@a.example": "...", "HTTPS:me:hunter2@a.example": "HTTPS:a.example", "login;x=a@hunter2": "...",
    "login%3Fhunter2": "login", "app://callback?code=hunter2": "app://callback", "token:hunter2": "...",
    "https://[2001:db8::1]:8443/x?hunter2": "https://[2001:db8::1]:8443/x",
    "https://a.example:8443/b?mail=me@hunter2": "https://a.example:8443/b",
}  # fmt: skip


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_message_hides_the_parts_of_a_redirect_that_may_be_secret(location: str) -> None:
    text = message(CHECK, Probe(302, 5, headers={"location": location}))
    assert f"it leads to {LOCATIONS[location]} (shown in part). Configure that path" in text
    assert "hunter2" not in text


LEAKING = b"DB_PASSWORD=hunter2 <!doctype html>"


@pytest.mark.parametrize("checked", [CHECK, check(bodyContains="ok"), check(matcher="400", bodyContains="ok")])
@pytest.mark.parametrize("code", [200, 400, 404, 500])
def test_a_message_shows_nothing_of_a_body(checked: Check, code: int) -> None:
    for headers in ({}, {"content-type": "text/html hunter2"}, {"content-type": "hunter2"}):
        assert "hunter2" not in message(checked, Probe(code, 5, body=LEAKING, headers=headers))


MARKUP = ["<!channel>", "<@U012AB3CD>", "<https://evil.example|log in>", "@here", "[log in](https://evil.example)",
          "![x](https://evil.example)", "<at>ops</at>", "<a href=//evil.example>"]  # fmt: skip


@pytest.mark.parametrize("markup", MARKUP)
def test_text_from_a_server_never_becomes_a_link_or_a_mention_in_chat(markup: str) -> None:
    released = check(expected_release="42", releaseHeader="X-Release")
    texts = [
        message(released, answer(X_Release=markup)),
        message(check(bodyContains="ok"), answer(b"x", Content_Encoding=markup, Content_Type=markup)),
        message(CHECK, Probe(302, 5, headers={"location": markup})),
        message(CHECK, Probe(302, 5, headers={"location": f"/{markup}"})),
        message(check(identityHeader="X-Id"), *[answer(X_Id=f"{markup}{n}") for n in range(3)], next_seconds=4),
        printable(markup),
    ]
    for text in texts:
        assert not re.search(r"<[!@#\w]|]\(|(?<!\w)@\w", text), text
    assert printable(texts[-1]) == texts[-1]
    assert "".join(re.sub(r"\\x(..)", lambda code: chr(int(code[1], 16)), texts[-1])) == markup


def test_good_probes_after_the_last_bad_one_change_nothing() -> None:
    assert message(CHECK, REFUSED, BAD, GOOD).endswith("Check the log of the application on tao.")


def test_with_too_few_probes_that_were_all_good_the_message_names_the_deadline() -> None:
    text = message(CHECK, GOOD, GOOD, next_seconds=11)
    assert "only 2 probes fitted into 12 s, all good, but 3 in a row are needed (2 probes in all)" in text
    assert text.endswith("Raise deadlineSeconds.")


def test_a_varying_identity_is_explained_as_a_request_id_or_a_load_balancer() -> None:
    varying = [answer(X_Id=letter * 256) for letter in "abc"]
    text = message(check(identityHeader="X-Id"), BAD, *varying, next_seconds=4)
    assert text.endswith(
        "Check whether this header names the request instead of the server, and whether there is a load balancer "
        "behind the address."
    )
    assert f'"{"c" * 57}..."' in text


def test_a_started_server_gets_no_advice_to_wait_longer() -> None:
    assert "startPeriodSeconds" not in message(check(startPeriodSeconds=5), GOOD, REFUSED)


def kinds(alias: object) -> set[str]:
    return {kind for each in get_args(alias) for kind in (kinds(each) if get_args(each) else {each})}


def test_there_is_advice_for_every_kind_of_problem() -> None:
    assert set(WHAT_TO_DO) | {"status"} == kinds(Kind)


LONGEST = replace(
    check(
        protocol="HTTPS", port=65535, path="/" + "p" * 1023, hostHeader="h" * 253, matcher="200," * 300 + "200",
        unhealthyThresholdCount=10, startPeriodSeconds=1, maxLatencyMs=1, bodyContains="t" * 1000,
        identityHeader="X-" + "i" * 62, releaseHeader="X-" + "r" * 62, sharedHeader="X-" + "s" * 62,
    ),
    server="s" * 64, instance_id="i-0123456789abcdef0", expected_release="r" * 256, expected_identity="d" * 256,
)  # fmt: skip


@pytest.mark.parametrize(
    "probe",
    [
        *[failed(kind, "e" * 240, 404) for kind in get_args(Failure)], Probe(404, 1),
        Probe(302, 1, headers={"location": "l" * 1000}), Probe(400, 1, body=b"b" * 5_120), Probe(200, 120_000),
        Probe(200, 1, body=b"b" * 5_120), Probe(200, 1, body=b"t" * 1000),
    ],
)  # fmt: skip
def test_a_message_is_below_1000_characters_and_whole_at_its_end_with_the_longest_of_everything(probe: Probe) -> None:
    polled = ended(LONGEST, *[probe] * 10, next_seconds=99)
    for checked in (LONGEST, replace(LONGEST, address="production")):
        longest = replace(polled, check=checked, probe_count=99_999)
        for text in (unhealthy_message(longest, failed=10, checks=10), bake_message(longest, failed=10, checks=10)):
            assert len(text) < 1000
            assert text.endswith("raise startPeriodSeconds.")
            assert "99999 probes in all" in text
            assert len(text[text.index("): ") : text.index(" (99999")]) > 100, "and enough of what was found"
