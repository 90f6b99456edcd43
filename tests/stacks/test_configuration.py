"""What a person may write into the context of cdk.json, and what is reported if it is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.configuration.pairs import placeholder_ids
from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import Settings, configured
from tests.stacks.contexts import (
    COMPLETE,
    FUNCTION,
    HTTPS,
    OBJECT,
    PRODUCTION,
    TCP,
    assert_only_problem,
    changed,
    check,
    checks,
    pair,
    paths_of,
    problems_of,
)

PROJECT = Path(__file__).parents[2]


def read(context: dict[str, Any]) -> Any:
    """The checks of the pair web, as the functions get them."""
    return configured(context.get).pairs["web"].as_json()["healthCheck"]


TIMES = {
    "via": "public", "intervalSeconds": 1, "timeoutSeconds": 2, "healthyThresholdCount": 3,
    "unhealthyThresholdCount": 3, "startPeriodSeconds": 0, "deadlineSeconds": 12,
}  # fmt: skip
DEFAULT_READINESS = {"scheduleExpression": "rate(1 day)", "certificateExpiryDays": 14}
DEFAULT_CHECK = {"protocol": "HTTP", "port": 80, "path": "/", "matcher": "200"} | TIMES


def test_everything_but_the_ids_and_names_has_a_default() -> None:
    settings = configured({"pairs": {"web": pair()}}.get)
    defaults = {"healthCheck": [DEFAULT_CHECK], "bakeSeconds": 0, "alarms": [], "readiness": DEFAULT_READINESS}
    assert settings.pairs["web"].as_json() == pair(**defaults)
    assert settings.name == "eip-cutover"
    assert (settings.vpc, settings.notifications, settings.ciAccess, settings.pipeline) == (None, None, None, None)


def test_the_keys_of_a_release_have_defaults_too() -> None:
    given = pair(deploy={"command": "x"}, hooks={"afterCutover": [{"function": FUNCTION}]}, approval={})
    assert configured({"pairs": {"web": given}}.get).pairs["web"].as_json() == pair(
        healthCheck=[DEFAULT_CHECK],
        bakeSeconds=0,
        alarms=[],
        deploy={"command": "x", "timeoutSeconds": 600},
        hooks={
            "beforeCutover": [],
            "afterCutover": [{"server": "idle", "function": FUNCTION, "timeoutSeconds": 60, "onFailure": "FAIL"}],
            "afterRollback": [],
        },
        approval={"timeoutMinutes": 60},
        readiness=DEFAULT_READINESS,
    )


@pytest.mark.parametrize(
    ("beside", "own", "evaluated"),
    [
        ({}, {}, {}),
        ({"readiness": {"certificateExpiryDays": 30}}, {}, {"certificateExpiryDays": 30}),
        ({"readiness": {"certificateExpiryDays": 30}}, {"readiness": {}}, {"certificateExpiryDays": 30}),
        (
            {"readiness": {"certificateExpiryDays": 30, "scheduleExpression": "rate(1 hour)"}},
            {"readiness": {"certificateExpiryDays": 14}},
            {"scheduleExpression": "rate(1 hour)"},
        ),
        ({}, {"readiness": {"scheduleExpression": "rate(2 days)"}}, {"scheduleExpression": "rate(2 days)"}),
        ({"readiness": {"certificateExpiryDays": 30}}, {"readiness": False}, False),
        ({"readiness": False}, {}, False),
        ({"readiness": False}, {"readiness": {"certificateExpiryDays": 30}}, {"certificateExpiryDays": 30}),
        ({"readiness": False}, {"readiness": {}}, {}),
    ],
)
def test_the_keys_of_a_pairs_readiness_win_over_those_beside_pairs_and_those_over_the_defaults(
    beside: dict[str, Any], own: dict[str, Any], evaluated: Any
) -> None:
    for order in (1, -1):  # of the keys of the context
        context = dict([*beside.items(), ("pairs", {"web": pair(**own)})][::order])
        read = configured(context.get).pairs["web"].as_json()["readiness"]
        assert read == (evaluated is not False and DEFAULT_READINESS | evaluated)


def test_a_check_has_only_the_keys_of_its_protocol() -> None:
    https = DEFAULT_CHECK | HTTPS | {"port": 443, "verifyCertificate": True}
    assert read(checks(HTTPS, TCP, {})) == [https, TCP | TIMES, DEFAULT_CHECK]
    unverified = {"protocol": "HTTPS", "port": 8443, "verifyCertificate": False}
    assert read(check(**unverified)) == [DEFAULT_CHECK | unverified]


def test_one_check_is_a_list_of_one() -> None:
    assert configured(check(port=81).get) == configured(checks({"port": 81}).get)


def test_json_from_the_command_line_and_values_from_the_cdk_are_read_like_cdk_json() -> None:
    for context in COMPLETE:
        in_text = {key: value if key == "name" else json.dumps(value) for key, value in context.items()}
        for read_context in (in_text.get, cdk.App(context=context).node.try_get_context):
            assert configured(read_context) == configured(context.get)


@pytest.mark.parametrize(
    ("text", "found"),
    [("web=1", "text that is not JSON (Expecting value: line 1"), ("", '""'), ("[" * 100_000, "text that is not JSON")],
)
def test_text_that_is_not_json_is_reported_once_and_hides_no_other_problem(text: str, found: str) -> None:
    assert_only_problem({"pairs": text}, "pairs", found, "an object as JSON")
    assert_only_problem({"pairs": {"web": pair()}, "vpc": text}, "vpc", found, "an object as JSON")
    assert paths_of({"pairs": text, "vpc": {"subnetIds": []}}) == ["pairs", "vpc.subnetIds", "vpc.securityGroupIds"]


@pytest.mark.parametrize("text", ["null", "7", "[]", '"web"'])
def test_json_that_is_not_an_object_is_not_a_configuration(text: str) -> None:
    for name in Settings.model_fields.keys() - {"name"}:
        context = {"pairs": {"web": pair()}} | {name: text}
        assert_only_problem(context, name, text, "an object with ")


def test_a_null_name_is_refused_and_does_not_mean_the_default(tmp_path: Path) -> None:
    """The CDK hands over nothing then, and the default is the name of another stack."""
    context = {"pairs": {"web": pair()}}
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context | {"name": None}}))
    with pytest.raises(InvalidConfiguration, match=r"name: found null; allowed: a name of 1 to 35 characters"):
        configured(cdk.App(context=context | {"name": None}).node.try_get_context, tmp_path / "cdk.json")
    assert configured((context | {"name": "team-b"}).get, tmp_path / "cdk.json").name == "team-b"


TWICE = {
    "pairs": ('"pairs": {', '"pairs": {}, "pairs": {'),
    "pairs.web.healthCheck": ('"healthCheck": {', '"healthCheck": {"path": "/x"}, "healthCheck": {'),
    "pairs.web.healthCheck.port": ('"port": 80', '"port": 80, "port": 81'),
    "pairs.web.servers.tao": ('"tao"', '"tao": "i-1a2b3c4d", "tao"'),
    "app": ('"app"', '"app": "", "app"'),
    "context": ('"context": {', '"context": {}, "context": {'),
}


@pytest.mark.parametrize("path", TWICE)
def test_a_key_that_is_twice_in_cdk_json_is_refused_by_its_path(path: str, tmp_path: Path) -> None:
    text = (PROJECT / "cdk.json").read_text()
    (tmp_path / "cdk.json").write_text(text.replace(*TWICE[path]))
    with pytest.raises(InvalidConfiguration) as refused:
        configured(json.loads(text)["context"].get, tmp_path / "cdk.json")
    assert refused.value.problems == (f"{path}: found this key more than once; allowed: each key of an object once",)


def test_a_key_that_is_twice_on_the_command_line_is_refused_by_its_path() -> None:
    text = json.dumps({"web": pair(healthCheck=[{"port": 81}])}).replace('"port": 81', '"port": 81, "port": 82')
    path = "pairs.web.healthCheck[0].port"
    assert_only_problem({"pairs": text}, path, "this key more than once", "each key of an object once")


def test_a_cdk_json_that_is_not_json_is_refused_and_a_missing_cdk_json_is_not(tmp_path: Path) -> None:
    context = {"pairs": {"web": pair()}}
    assert configured(context.get, tmp_path / "cdk.json") == configured(context.get)
    (tmp_path / "cdk.json").write_text('\ufeff{"context": {}}', encoding="utf-8")  # which the CDK CLI reads, too
    assert configured(context.get, tmp_path / "cdk.json") == configured(context.get)
    (tmp_path / "cdk.json").write_text("{,}")
    with pytest.raises(InvalidConfiguration, match=r"cdk\.json: found text that is not JSON"):
        configured(context.get, tmp_path / "cdk.json")


def run(app: Path, context: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps(context),
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'lambdas'}",
    }
    return subprocess.run([sys.executable, app], env=environment, capture_output=True, text=True, check=False)


def test_the_app_refuses_a_wrong_configuration_in_words_and_without_a_traceback(tmp_path: Path) -> None:
    """As the CDK CLI runs it: it has read the cdk.json beside app.py, and hands over what it read."""
    text = (PROJECT / "cdk.json").read_text().replace(*TWICE["pairs.web.healthCheck"])
    (tmp_path / "cdk.json").write_text(text)
    shutil.copy(PROJECT / "app.py", tmp_path)
    app = run(tmp_path / "app.py", json.loads(text)["context"] | {"ciAccess": '{"github": {"branch": "*"}}'})
    assert app.returncode == 1
    assert "  pairs.web.healthCheck: found this key more than once; allowed: " in app.stderr
    assert "  ciAccess.github.repository: found nothing; allowed: " in app.stderr
    assert '  ciAccess.github.branch: found "*"; allowed: ' in app.stderr
    assert "Traceback" not in app.stderr


def test_all_problems_of_all_parts_are_reported_at_once() -> None:
    bad_pair = pair(
        staging="x",
        colour="blue",
        alarms=["", "a", "a"],
        healthCheck=[
            {"port": 0, "prot": 1, "matcher": "99"},
            {"protocol": "HTTPS", "maxLatencyMs": 2001, "deadlineSeconds": 5, "headers": {"Host": "\n"}},
            {"protocol": "TCP", "path": "/", "via": "private", "alarms": []},
        ],
    )
    context = {
        "pairs": {"web": bad_pair, "a b": pair(production=PRODUCTION, servers={"tao": "i-1"})},
        "notifications": {"emails": []},
        "ciAccess": {},
        "pipeline": {"source": OBJECT, "deploy": {}, "pair": "web"},
    }
    assert sorted(paths_of(context)) == sorted(
        [
            "pairs.web.colour", "pairs.web.staging", "pairs.web.alarms[0]", "pairs.web.alarms[2]",
            "pairs.web.healthCheck[0].prot", "pairs.web.healthCheck[0].port", "pairs.web.healthCheck[0].matcher",
            "pairs.web.healthCheck[1].headers.Host", "pairs.web.healthCheck[1].headers.Host",
            "pairs.web.healthCheck[1].verifyCertificate", "pairs.web.healthCheck[1].maxLatencyMs",
            "pairs.web.healthCheck[1].deadlineSeconds", "pairs.web.healthCheck[2].alarms",
            "pairs.web.healthCheck[2].port", "pairs.web.healthCheck[2].path", "pairs.web.healthCheck[2].via",
            "pairs.web.healthCheck[2].via", 'pairs["a b"]', 'pairs["a b"].servers.tao',
            'pairs["a b"].production', "notifications.emails", "ciAccess", "pipeline.deploy",
        ]
    )  # fmt: skip


def test_an_endless_value_is_reported_like_any_other_problem() -> None:
    endless: list[Any] = []
    endless.append(endless)
    context = changed("pairs.web.bakeSeconds", endless)
    assert_only_problem(context, "pairs.web.bakeSeconds", "a value that cannot be shown (list)", "from 0 to 86400")


def test_a_long_value_is_shortened_to_one_line() -> None:
    (problem,) = problems_of(changed("pairs.web.production", "x\n" * 5_000))
    assert "(15002 characters)" in problem
    assert len(problem) < 250


def test_the_shipped_ids_are_recognized_as_placeholders() -> None:
    shipped = json.loads((PROJECT / "cdk.json").read_text())["context"]
    ids = [f"pairs.web.{key}" for key in ("production", "staging", "servers.bittybot", "servers.tao")]
    assert placeholder_ids(configured(shipped.get, PROJECT / "cdk.json").pairs) == ids
    partly = {"web": pair(production="eipalloc-0abababababababab", staging="eipalloc-0aaaaaaaaaaaaaaaa")}
    assert placeholder_ids(configured({"pairs": partly}.get).pairs) == ["pairs.web.staging"]
