"""The pipeline starts the workflow with each release, one at a time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from domain.release_commands import RELEASE_PATTERN
from stacks.configuration.settings import Settings, configured
from stacks.pipeline import EXECUTION_NAME_PREFIX, PipelineStack
from tests.stacks.contexts import BRANCH, CONNECTION, DEPLOY, OBJECT, OTHER_PAIR
from tests.stacks.policies import ACCOUNT, REGION, grants, in_account, statements_of
from tests.stacks.synthesis import CONTEXT, PROJECT, resources

PAIRS = {name: given | {"deploy": DEPLOY} for name, given in CONTEXT["pairs"].items()}


def settings(pairs: Any = PAIRS, **keys: Any) -> Settings:
    """Of a pipeline of one of the pairs; of a branch, if the keys do not say otherwise."""
    return configured({"pairs": pairs, "pipeline": {"source": BRANCH} | keys}.get)


FROM_BRANCH, FROM_OBJECT = settings(), settings(source=OBJECT)


def synthesized(folder: Path, settings: Settings) -> dict[str, Any]:
    assert settings.pipeline
    app = cdk.App(context=CONTEXT, outdir=str(folder))
    stack = PipelineStack(app, "EipCutoverPipeline", settings.names, settings.pipeline)
    template: dict[str, Any] = app.synth().get_stack_by_name(stack.stack_name).template
    return template


def only(template: dict[str, Any], kind: str) -> dict[str, Any]:
    (resource,) = resources(template, kind).values()
    return dict(resource["Properties"])


def action(template: dict[str, Any], name: str) -> dict[str, Any]:
    stages = only(template, "AWS::CodePipeline::Pipeline")["Stages"]
    (found,) = (each for stage in stages for each in stage["Actions"] if each["Name"] == name)
    return dict(found)


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("branch"), FROM_BRANCH)


@pytest.fixture(scope="module")
def from_object(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("object"), FROM_OBJECT)


def test_releases_wait_in_a_queue_and_none_overtakes_another(branch: dict[str, Any]) -> None:
    pipeline = only(branch, "AWS::CodePipeline::Pipeline")
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "QUEUED")


def test_the_pipeline_has_a_source_and_one_action_that_starts_the_workflow_with_the_commit(
    branch: dict[str, Any],
) -> None:
    stages = only(branch, "AWS::CodePipeline::Pipeline")["Stages"]
    assert {stage["Name"]: [each["Name"] for each in stage["Actions"]] for stage in stages} == {
        "Source": ["Source"],
        "Release": ["Cutover"],
    }
    cutover = action(branch, "Cutover")["Configuration"]
    assert cutover["InputType"] == "Literal"
    assert json.loads(cutover["Input"]) == {"pair": "web", "release": "#{Source.CommitId}"}
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eip-cutover"
    assert in_account(cutover["StateMachineArn"], branch) == arn


def test_the_release_of_an_object_is_its_version(tmp_path: Path) -> None:
    template = synthesized(
        tmp_path, settings(PAIRS | {"api": OTHER_PAIR | {"deploy": DEPLOY}}, pair="api", source=OBJECT)
    )
    sent = json.loads(action(template, "Cutover")["Configuration"]["Input"])
    assert sent == {"pair": "api", "release": "#{Source.VersionId}"}
    assert only(template, "AWS::CodePipeline::Pipeline")["Name"] == "eip-cutover-api"


def test_a_commit_and_a_version_are_releases_that_the_workflow_takes() -> None:
    version = "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"
    for release in ("8f2c6a9e" * 5, "8f2c6a9e" * 8, version, "null"):
        assert re.fullmatch(RELEASE_PATTERN, release)


def test_the_input_and_the_name_of_the_execution_stay_within_their_limits(tmp_path: Path) -> None:
    template = synthesized(tmp_path, settings({"x" * 64: OTHER_PAIR | {"deploy": DEPLOY}}))
    assert len(action(template, "Cutover")["Configuration"]["Input"]) <= 1000
    assert len(EXECUTION_NAME_PREFIX) <= 43
    assert len(only(template, "AWS::CodePipeline::Pipeline")["Name"]) <= 100


def test_the_pipeline_has_no_function_and_no_document(branch: dict[str, Any]) -> None:
    assert not resources(branch, "AWS::Lambda::Function")
    assert not resources(branch, "AWS::SSM::Document")
    assert not branch.get("Parameters", {}).keys() - {"BootstrapVersion"}


def test_each_action_has_only_its_own_permissions(branch: dict[str, Any]) -> None:
    cutover = grants(statements_of(branch, action(branch, "Cutover")["RoleArn"]["Fn::GetAtt"][0]))
    here = f"{REGION}:{ACCOUNT}"
    assert cutover == {
        ("states:StartExecution", f"arn:aws:states:{here}:stateMachine:eip-cutover"),
        ("states:DescribeStateMachine", f"arn:aws:states:{here}:stateMachine:eip-cutover"),
        ("states:DescribeExecution", f"arn:aws:states:{here}:execution:eip-cutover:pipeline*"),
    }


def test_a_connection_may_be_used_under_its_new_and_its_old_name(branch: dict[str, Any]) -> None:
    role = action(branch, "Source")["RoleArn"]["Fn::GetAtt"][0]
    (used,) = (found for found in statements_of(branch, role) if "UseConnection" in str(found["Action"]))
    assert used["Action"] == ["codeconnections:UseConnection", "codestar-connections:UseConnection"]
    assert (used["Effect"], used["Resource"]) == ("Allow", CONNECTION)


def test_a_new_object_starts_the_pipeline_by_an_event_without_polling(from_object: dict[str, Any]) -> None:
    source = action(from_object, "Source")["Configuration"]
    assert source == {"S3Bucket": OBJECT["bucket"], "S3ObjectKey": OBJECT["key"], "PollForSourceChanges": False}
    rule = only(from_object, "AWS::Events::Rule")
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [OBJECT["bucket"]]}, "object": {"key": [OBJECT["key"]]}},
    }
    (target,) = rule["Targets"]
    (pipeline,) = resources(from_object, "AWS::CodePipeline::Pipeline")
    assert {"Ref": pipeline} in target["Arn"]["Fn::Join"][1]


def test_artifacts_are_private_encrypted_and_expire(branch: dict[str, Any]) -> None:
    bucket = only(branch, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    assert bucket["LifecycleConfiguration"]["Rules"] == [{"ExpirationInDays": 30, "Status": "Enabled"}]


def test_the_app_has_the_second_stack_only_if_the_pipeline_is_configured(tmp_path: Path) -> None:
    context = CONTEXT | {"pairs": PAIRS, "pipeline": json.dumps({"source": OBJECT})}
    for given, stacks in ((CONTEXT, {"EipCutover"}), (context, {"EipCutover", "EipCutoverPipeline"})):
        folder = tmp_path / str(len(stacks))
        environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(given), "CDK_OUTDIR": str(folder)}
        subprocess.run([sys.executable, "app.py"], cwd=PROJECT, env=environment, capture_output=True, check=True)
        assert {path.name.partition(".")[0] for path in folder.glob("*.template.json")} == stacks
        exports = json.loads((folder / "EipCutover.template.json").read_text())["Outputs"].values()
        assert not any("Export" in output for output in exports)
