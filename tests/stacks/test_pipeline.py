"""The pipeline deploys a release to the idle server, and then cuts over to that server by name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from stacks.pipeline.deploy_to_idle import RELEASE

from stacks.configuration.settings import Settings, configured
from stacks.pipeline.pipeline_stack import PipelineStack
from stacks.pipeline.release import EXECUTION_NAME_PREFIX
from tests.stacks.contexts import BRANCH, CONNECTION, DEPLOY, OBJECT, OTHER_PAIR
from tests.stacks.policies import ACCOUNT, REGION, grants, in_account, statements_of
from tests.stacks.synthesis import CONTEXT, PROJECT, resources

API = OTHER_PAIR | {"healthCheck": {"releaseHeader": "X-Release"}}


def settings(pairs: Any = CONTEXT["pairs"], **keys: Any) -> Settings:
    """Of a pipeline of one of the pairs; of a branch, if the keys do not say otherwise."""
    return configured({"pairs": pairs, "pipeline": {"source": BRANCH, "deploy": DEPLOY} | keys}.get)


FROM_BRANCH, FROM_OBJECT = settings(), settings(source=OBJECT)


def synthesized(folder: Path, settings: Settings) -> dict[str, Any]:
    assert settings.pipeline
    app = cdk.App(context=CONTEXT, outdir=str(folder))
    stack = PipelineStack(app, "EipCutoverPipeline", pipeline=settings.pipeline, pairs=settings.pairs)
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


def test_no_release_is_deployed_during_the_cutover_of_the_release_before(branch: dict[str, Any]) -> None:
    """A stage holds one execution at a time, so both are in one."""
    stages = only(branch, "AWS::CodePipeline::Pipeline")["Stages"]
    ordered = {stage["Name"]: {each["Name"]: each["RunOrder"] for each in stage["Actions"]} for stage in stages}
    assert ordered == {"Source": {"Source": 1}, "Release": {"Deploy": 1, "Cutover": 2}}


def test_the_cutover_names_the_server_of_the_deployment_and_not_a_configured_server(
    branch: dict[str, Any],
) -> None:
    cutover = action(branch, "Cutover")["Configuration"]
    assert cutover["InputType"] == "Literal"
    assert json.loads(cutover["Input"]) == {"pair": "web", "serverName": "#{Deploy.server}"}
    assert action(branch, "Deploy")["Namespace"] == "Deploy"
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:eip-cutover"
    assert in_account(cutover["StateMachineArn"], branch) == arn


def test_the_cutover_expects_the_deployed_release_if_servers_report_their_release(tmp_path: Path) -> None:
    two_pairs = CONTEXT["pairs"] | {"api": API}
    template = synthesized(tmp_path, settings(two_pairs, pair="api", source=OBJECT, expectRelease=True))
    sent = json.loads(action(template, "Cutover")["Configuration"]["Input"])
    assert sent == {"pair": "api", "serverName": "#{Deploy.server}", "expectedRelease": "#{Source.VersionId}"}
    assert only(template, "AWS::CodePipeline::Pipeline")["Name"] == "eip-cutover-api"


def test_the_input_and_the_name_of_the_execution_stay_within_their_limits(tmp_path: Path) -> None:
    name = "x" * 64
    template = synthesized(tmp_path, settings({name: API}, expectRelease=True, deploy={"command": "x" * 1000}))
    assert len(action(template, "Cutover")["Configuration"]["Input"]) <= 1000
    assert len(str(in_account(action(template, "Deploy")["Configuration"]["UserParameters"], template))) <= 1000
    assert len(EXECUTION_NAME_PREFIX) <= 43
    assert len(only(template, "AWS::CodePipeline::Pipeline")["Name"]) <= 100


def test_the_deployment_receives_the_pair_and_the_release_but_not_the_server(branch: dict[str, Any]) -> None:
    asked = json.loads(str(in_account(action(branch, "Deploy")["Configuration"]["UserParameters"], branch)))
    assert (asked["pair"], asked["release"], asked["seconds"]) == ("web", "#{Source.CommitId}", 600)
    assert not re.search("i-0|bittybot|tao", json.dumps(only(branch, "AWS::CodePipeline::Pipeline")))


def test_the_command_runs_with_the_release_in_its_environment_and_stops_at_the_first_failure(
    branch: dict[str, Any],
) -> None:
    document = only(branch, "AWS::SSM::Document")["Content"]
    (step,) = document["mainSteps"]
    assert step["inputs"]["runCommand"] == ["set -eu", "export RELEASE='{{ Release }}'", DEPLOY["command"]]
    assert step["inputs"]["timeoutSeconds"] == "600"
    assert document["parameters"]["Release"]["allowedPattern"] == RELEASE


def test_a_release_is_a_commit_or_a_version_and_never_a_shell_command() -> None:
    for release in ("8f2c6a9", "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo", "v1.2"):
        assert re.fullmatch(RELEASE, release)
    for text in ("", "'; reboot; '", "$(reboot)", "`reboot`", "a b", "a\nb", "x" * 256, '"'):
        assert not re.fullmatch(RELEASE, text)


def test_the_function_may_run_only_its_document_on_only_the_two_servers(branch: dict[str, Any]) -> None:
    function = only(branch, "AWS::Lambda::Function")
    granted = grants(statements_of(branch, function["Role"]["Fn::GetAtt"][0]))
    here = f"{REGION}:{ACCOUNT}"
    (document,) = resources(branch, "AWS::SSM::Document")
    assert {found for found in granted if found[0].startswith("ssm:Send")} == {
        ("ssm:SendCommand", f"arn:aws:ec2:{here}:instance/i-0aaaaaaaaaaaaaaaa"),
        ("ssm:SendCommand", f"arn:aws:ec2:{here}:instance/i-0bbbbbbbbbbbbbbbb"),
        ("ssm:SendCommand", f"arn:aws:ssm:{here}:document/arn:aws:AWS::SSM::Document:{here}:{document}"),
    }
    assert {found[0] for found in granted} == {
        "ssm:SendCommand", "ssm:GetCommandInvocation", "ec2:DescribeAddresses",
        "codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult",
        "dynamodb:GetItem", "dynamodb:UpdateItem", "logs:CreateLogStream", "logs:PutLogEvents",
        "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    }  # fmt: skip


def test_a_failed_call_of_the_function_is_not_retried(branch: dict[str, Any]) -> None:
    assert only(branch, "AWS::Lambda::EventInvokeConfig")["MaximumRetryAttempts"] == 0


def test_each_action_has_only_its_own_permissions(branch: dict[str, Any]) -> None:
    cutover = grants(statements_of(branch, action(branch, "Cutover")["RoleArn"]["Fn::GetAtt"][0]))
    here = f"{REGION}:{ACCOUNT}"
    assert cutover == {
        ("states:StartExecution", f"arn:aws:states:{here}:stateMachine:eip-cutover"),
        ("states:DescribeStateMachine", f"arn:aws:states:{here}:stateMachine:eip-cutover"),
        ("states:DescribeExecution", f"arn:aws:states:{here}:execution:eip-cutover:pipeline*"),
    }
    deploy = grants(statements_of(branch, action(branch, "Deploy")["RoleArn"]["Fn::GetAtt"][0]))
    assert {found[0] for found in deploy} == {"lambda:InvokeFunction", "lambda:ListFunctions"}


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
    context = CONTEXT | {"pipeline": json.dumps({"source": OBJECT, "deploy": DEPLOY})}
    for given, stacks in ((CONTEXT, {"EipCutover"}), (context, {"EipCutover", "EipCutoverPipeline"})):
        folder = tmp_path / str(len(stacks))
        environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(given), "CDK_OUTDIR": str(folder)}
        subprocess.run([sys.executable, "app.py"], cwd=PROJECT, env=environment, capture_output=True, check=True)
        assert {path.name.partition(".")[0] for path in folder.glob("*.template.json")} == stacks
        exports = json.loads((folder / "EipCutover.template.json").read_text())["Outputs"].values()
        assert not any("Export" in output for output in exports)
