"""The input of an execution: what is allowed, and how everything else is refused."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.request import LONGEST_WAIT_SECONDS, REQUEST_KEYS, Request, read_request
from tests.unit.example_pair import BITTYBOT, TAO, WEB

API = replace(WEB, name="api")
WEB_WITH_RELEASES = replace(WEB, health_check=[{"port": 80, "releaseHeader": "X-Release"}])


def test_an_input_is_read_with_its_server_in_any_case_and_an_empty_one_asks_for_the_idle_server() -> None:
    for name in ("tao", "TAO", "Tao"):
        assert read_request({"serverName": name}, {"web": WEB}) == Request(WEB, TAO)
    assert read_request({}, {"web": WEB}) == Request(WEB, None, False)
    value = {"pair": "api", "serverName": "bittybot", "dryRun": True}
    assert read_request(value, {"web": WEB, "api": API}) == Request(API, BITTYBOT, True)


@pytest.mark.parametrize(
    ("value", "request_read"),
    [
        ({"rollback": True}, Request(WEB, rollback=True)),
        ({"rollback": True, "dryRun": True, "emergency": True, "waitSeconds": 1},
         Request(WEB, dry_run=True, rollback=True, emergency=True, wait_seconds=1)),
        ({"rollback": False, "serverName": "tao", "expectedRelease": "2"},
         Request(WEB_WITH_RELEASES, TAO, expected_release="2")),
        ({"emergency": True, "serverName": "tao"}, Request(WEB, TAO, emergency=True)),
        ({"emergency": False, "waitSeconds": 0}, Request(WEB)),
        ({"waitSeconds": LONGEST_WAIT_SECONDS}, Request(WEB, wait_seconds=3600)),
    ],
)  # fmt: skip
def test_an_input_may_ask_for_a_rollback_an_emergency_and_a_wait(value: Any, request_read: Request) -> None:
    assert read_request(value, {"web": request_read.pair}) == request_read


@pytest.mark.parametrize(
    ("asked", "urgent"), [({}, False), ({"rollback": True}, True), ({"emergency": True}, True)], ids=str
)
def test_a_rollback_and_an_emergency_skip_what_only_the_live_server_may_fail(asked: Any, urgent: bool) -> None:
    assert Request(WEB, **asked).is_urgent is urgent


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], ["[] (list)", "must be a JSON object"]),
        ("go", ["'go'", "must be a JSON object"]),
        (7, ["7 (int)", "must be a JSON object"]),
        ({"pair": "wbe"}, ["pair = 'wbe'", "the configured pairs are api, web"]),
        ({"pair": "WEB"}, ["pair = 'WEB'"]),
        ({"pair": ["web"]}, ["pair = ['web'] (list)", "pair must be a string"]),
        ({}, ["no pair", "it is required if more than one pair is configured", "api, web"]),
        ({"pair": "web", "serverName": "ta"}, ["serverName = 'ta'", "bittybot and tao"]),
        ({"pair": "web", "serverName": 5}, ["serverName = 5 (int)", "serverName must be a string"]),
        ({"pair": "web", "serverName": "t" * 10_000}, ["serverName = 'ttt", "(10000 characters)"]),
        ({"pair": "web", "dryRun": "true"}, ["dryRun = 'true'", "dryRun must be a boolean"]),
        ({"pair": "web", "dryrun": True}, ["'dryrun'", "only the keys pair, serverName, dryRun, expectedRelease"]),
        ({"pair": "web", "serverName ": "tao"}, ["the key 'serverName '"]),
        ({"pair": "web", "interrupted": "tao"}, ["the key 'interrupted'"]),
        ({"pair": "web", "expectedRelease": 2}, ["expectedRelease must be a string"]),
        ({"pair": "web", "expectedRelease": "2"}, ["no check of pair web has a releaseHeader"]),
        ({"pair": "web", "expectedRelease": ""}, ["1 to 256 characters"]),
        ({"pair": "web", "expectedRelease": "2" * 257}, ["1 to 256 characters"]),
        ({"pair": "web", "expectedRelease": "2\n3"}, ["printable ASCII"]),
        ({"pair": "web", "expectedRelease": " 2"}, ["without a space at either end"]),
        ({"pair": "web", "rollback": True, "serverName": "tao"}, ["rollback and serverName", "leave one out"]),
        ({"pair": "web", "rollback": True, "serverName": "bittybot", "dryRun": True}, ["rollback and serverName"]),
        ({"pair": "web", "rollback": True, "release": "2"}, ["rollback and release: leave one out"]),
        ({"pair": "web", "rollback": "true"}, ["rollback = 'true'", "rollback must be a boolean"]),
        ({"pair": "web", "rollback": 1}, ["rollback = 1 (int)", "rollback must be a boolean"]),
        ({"pair": "web", "rollback": None}, ["rollback = None (NoneType)", "rollback must be a boolean"]),
        ({"pair": "web", "emergency": "true"}, ["emergency = 'true'", "emergency must be a boolean"]),
        ({"pair": "web", "emergency": 1}, ["emergency = 1 (int)", "emergency must be a boolean"]),
        ({"pair": "web", "emergency": 0}, ["emergency = 0 (int)", "emergency must be a boolean"]),
        ({"pair": "web", "emergency": None}, ["emergency = None (NoneType)", "emergency must be a boolean"]),
        ({"pair": "web", "emergency": [True]}, ["emergency = [True] (list)", "emergency must be a boolean"]),
        ({"pair": "web", "waitSeconds": -1}, ["waitSeconds = -1 (int)", "waitSeconds must be 0 to 3600"]),
        ({"pair": "web", "waitSeconds": 3601}, ["waitSeconds = 3601 (int)", "waitSeconds must be 0 to 3600"]),
        ({"pair": "web", "waitSeconds": 10**5_000}, ["something too large", "waitSeconds must be 0 to 3600"]),
        ({"pair": "web", "waitSeconds": 0.5}, ["waitSeconds = 0.5 (float)", "waitSeconds must be an integer"]),
        ({"pair": "web", "waitSeconds": 60.0}, ["waitSeconds = 60.0 (float)", "waitSeconds must be an integer"]),
        ({"pair": "web", "waitSeconds": float("nan")}, ["waitSeconds = nan", "waitSeconds must be an integer"]),
        ({"pair": "web", "waitSeconds": True}, ["waitSeconds = True (bool)", "waitSeconds must be an integer"]),
        ({"pair": "web", "waitSeconds": "60"}, ["waitSeconds = '60'", "waitSeconds must be an integer"]),
        ({"pair": "web", "waitSeconds": None}, ["waitSeconds = None (NoneType)", "waitSeconds must be an integer"]),
    ],
)
def test_a_wrong_input_is_refused_naming_the_key_the_value_and_what_is_allowed(value: object, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(value, {"web": WEB, "api": API})
    message = str(refused.value)
    assert [word for word in words if word not in message] == []
    assert "Nothing was read" in message
    assert len(message) < 400


LOOK_ALIKE = ["", " tao", "tao ", "tao\u00a0", "t\u0430o", "ta\u03bf", "\uff54\uff41\uff4f", "ta\u006f\u0301",
              "tao\u200b", "\ufefftao", "\u212aai", "constructor", "__proto__", TAO.instance_id]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKE, ids=ascii)
def test_no_lookalike_letters_name_a_pair_or_a_server(name: str) -> None:
    """The Kelvin sign, here in the name of kai, is the only other character whose lower case is an ASCII letter."""
    pair = replace(WEB, servers=(TAO, replace(BITTYBOT, name="kai")))
    for request in ({"pair": name}, {"pair": "tao", "serverName": name}):
        with pytest.raises(InvalidRequest):
            read_request(request, {"tao": pair, "kai": pair})


def test_with_hundreds_of_pairs_or_control_characters_the_message_stays_short_and_printable() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request({"pair": "wbe\r\n\x1b[31mred\u2028"}, {f"pair-{number}": WEB for number in range(500)})
    message = str(refused.value)
    assert "one of the 500 pairs" in message
    assert message.isprintable()
    assert len(message) < 400


def test_a_rollback_cannot_name_a_release() -> None:
    with pytest.raises(InvalidRequest, match=r"rollback and expectedRelease: leave one out"):
        read_request({"rollback": True, "expectedRelease": "2"}, {"web": WEB_WITH_RELEASES})


def test_the_message_for_an_unknown_key_names_every_key() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request({"dryrun": True}, {"web": WEB})
    assert f"only the keys {', '.join(REQUEST_KEYS)} are allowed" in str(refused.value)
    assert len(REQUEST_KEYS) == 8


DEPLOYED = replace(WEB_WITH_RELEASES, deploy={"command": "deploy", "timeoutSeconds": 60})


@pytest.mark.parametrize("release", ["7", "v1.2.3-rc.1", "feature/x+y=z_0", "a" * 128])
def test_a_release_has_the_characters_of_versions_tags_and_commits(release: str) -> None:
    assert read_request({"release": release}, {"web": DEPLOYED}) == Request(DEPLOYED, release=release)


@pytest.mark.parametrize(
    "release",
    ["", " ", "a b", "7\n", "7;reboot", "$(reboot)", "`id`", "a'b", 'a"b', "a\\b", "\u0661", "a" * 129, "{{a}}"],
)
def test_a_release_that_could_mean_something_to_a_shell_is_refused(release: str) -> None:
    with pytest.raises(InvalidRequest, match=r"it must have 1 to 128 letters, digits and characters of \. _ "):
        read_request({"release": release}, {"web": DEPLOYED})


def test_a_release_needs_a_pair_that_deploys_and_excludes_an_expected_release() -> None:
    with pytest.raises(InvalidRequest, match=r"pair web has no deploy in cdk\.json"):
        read_request({"release": "7"}, {"web": WEB})
    for release in ("7", "8"):
        with pytest.raises(InvalidRequest, match="release and expectedRelease: leave expectedRelease out"):
            read_request({"release": "7", "expectedRelease": release}, {"web": DEPLOYED})
