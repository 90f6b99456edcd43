"""docs/ci.md: its policies have the calls that are made and that the roles allow, and cdk.json accepts its examples."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stacks.configuration.settings import configured
from tests.stacks.contexts import DEPLOY, pair
from tests.stacks.policies import ACCOUNT, REGION, Call, allows, grants, in_account, statements_of
from tests.stacks.synthesis import PROJECT
from tests.stacks.test_ci_access import EXECUTION, MACHINE, STACK, role_in, synthesized
from tests.stacks.test_pipeline import FROM_BRANCH, action, synthesized as pipeline_of

DOCUMENT = (PROJECT / "docs" / "ci.md").read_text()
FAKE = PROJECT / "tests" / "unit" / "fake_aws.py"
EXAMPLES = [json.loads(f"{{{found}}}") for found in re.findall(r'```json\n("\w+": .*?)```', DOCUMENT, re.DOTALL)]


def documented(what: str) -> dict[str, Any]:
    (found,) = re.findall(rf"<!-- {what} -->\n```json\n(.*?)```", DOCUMENT, re.DOTALL)
    policy: dict[str, Any] = json.loads(found)
    assert policy["Version"] == "2012-10-17"
    return policy


def example(key: str) -> Any:
    (found,) = (each[key] for each in EXAMPLES if key in each)
    return found


@pytest.fixture(scope="module")
def with_access(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("ci"), example("ciAccess"))


def test_the_documented_trust_policy_follows_from_the_documented_configuration(with_access: dict[str, Any]) -> None:
    _, role = role_in(with_access)
    assert in_account(role["AssumeRolePolicyDocument"], with_access) == documented("trust: github")


@pytest.mark.parametrize("what", ["client", "aws-cli"])
def test_the_role_for_ci_allows_every_documented_call(with_access: dict[str, Any], what: str) -> None:
    granted = grants(statements_of(with_access, role_in(with_access)[0]))
    assert grants(documented(f"policy: {what}")["Statement"]) <= granted


def test_the_policy_of_the_client_has_the_calls_of_start() -> None:
    granted = grants(documented("policy: client")["Statement"])
    calls = [
        Call("cloudformation:DescribeStacks", STACK),
        Call("states:StartExecution", MACHINE),
        Call("states:DescribeExecution", EXECUTION),
        Call("states:GetExecutionHistory", EXECUTION),
    ]
    assert all(allows(granted, call) for call in calls)
    assert {action for action, _ in granted} == {call.action for call in calls}


def called(words: list[str]) -> Call:
    """A call of the AWS CLI as IAM sees it."""
    options = dict(zip(words[2::2], words[3::2], strict=True))
    name = "".join(word.capitalize() for word in words[1].split("-"))
    service = {"stepfunctions": "states"}.get(words[0], words[0])
    return Call(f"{service}:{name}", options.get("--state-machine-arn") or options["--execution-arn"])


def test_the_policy_of_the_script_has_the_calls_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    (tmp_path / "aws").chmod(0o755)
    described = [{"status": "RUNNING", "input": '{"serverName":"tao"}'}, {"status": "FAILED", "error": "RolledBack"}]
    (tmp_path / "answers.json").write_text(json.dumps({"start": "ExecutionAlreadyExists", "described": described}))
    given = {"STATE_MACHINE_ARN": MACHINE, "NAME": "release-1", "SERVER": "tao", "SECONDS_APART": "0"}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAKE_AWS": str(tmp_path)}
    script = PROJECT / "examples" / "aws-cli" / "cutover.sh"
    ended = subprocess.run(["sh", script], env=path | given, capture_output=True, check=False)
    assert ended.returncode == 15
    calls = {called(json.loads(line)) for line in (tmp_path / "calls.jsonl").read_text().splitlines()}
    granted = grants(documented("policy: aws-cli")["Statement"])
    assert all(allows(granted, call) for call in calls)
    assert {action for action, _ in granted} == {call.action for call in calls}
    assert not allows(granted, Call("states:StartExecution", f"{MACHINE}-repair"))


def test_the_documented_policy_for_codepipeline_is_the_policy_of_the_pipelines_action(tmp_path: Path) -> None:
    template = pipeline_of(tmp_path, FROM_BRANCH)
    role = action(template, "Cutover")["RoleArn"]["Fn::GetAtt"][0]
    assert grants(documented("policy: codepipeline")["Statement"]) == grants(statements_of(template, role))


def test_the_documented_pipeline_is_valid() -> None:
    settings = configured({"pairs": {"web": pair(deploy=DEPLOY)}, "pipeline": example("pipeline")}.get)
    assert settings.pipeline == FROM_BRANCH.pipeline


def test_every_documented_arn_is_of_the_same_account_and_region() -> None:
    arns = re.findall(r'"(arn:aws:[^"]+)"', DOCUMENT)
    assert len(arns) >= 8
    for arn in arns:
        assert arn.split(":")[3:5] in ([REGION, ACCOUNT], ["", ACCOUNT]), arn
