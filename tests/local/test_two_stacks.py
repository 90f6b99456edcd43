"""A second stack with another `name`, for a pair of the same name: the stacks see nothing of each other."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from local.aws import LocalAws
from stacks.configuration.names import DEFAULT_NAME, Names
from tests.local.client.runs import CLIENT, environment
from tests.local.situation import SWAPPED, places, until
from tests.local.test_monitoring import printed_by
from tests.unit.emf import points

ALARMS = {"rollback-failed", "repair-failed", "repair-ran", "lock-held-too-long", "not-ready"}


@dataclass(frozen=True)
class Stack:
    """One of the two stacks, and what it reports."""

    aws: LocalAws
    name: str
    stack: str
    outputs: dict[str, str]
    queue: str  # subscribed to its topic

    def start(self, request: object) -> str:
        started = self._states.start_execution(stateMachineArn=self.machine, input=json.dumps(request))
        return str(started["executionArn"])

    @property
    def machine(self) -> str:
        return self.outputs["StateMachineArn"]

    def outcomes(self) -> Callable[[], list[tuple[str, str]]]:
        """What is reported from now on: namespace and outcome. An event that is not its own would be refused."""
        printed = printed_by(self.aws, "report_outcome", self.stack)

        def reported() -> list[tuple[str, str]]:
            assert "Refused event" not in printed()
            outcomes = [point for point in points(printed()) if point.name == "Outcomes"]
            return [(each.namespace, each.dimensions["outcome"]) for each in outcomes if "pair" not in each.dimensions]

        return reported

    def messages(self) -> list[tuple[str, str]]:
        """What the topic has sent since it was asked last: subject and execution."""
        received = self.aws.client("sqs").receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=3600
        )
        bodies = [json.loads(message["Body"]) for message in received.get("Messages", ())]
        return [(body["Subject"], json.loads(body["Message"])["execution"]) for body in bodies]

    def repairs_of(self, execution: str) -> list[dict[str, Any]]:
        listed = self._states.list_executions(stateMachineArn=f"{self.machine}-repair")["executions"]
        repairs = [self._states.describe_execution(executionArn=each["executionArn"]) for each in listed]
        return [repair for repair in repairs if json.loads(repair["input"]).get("execution") == execution]

    def holders(self) -> list[str]:
        items = self.aws.client("dynamodb").scan(TableName=self.outputs["LockTableName"])["Items"]
        return [item["execution"]["S"] for item in items if "execution" in item]

    @property
    def _states(self) -> Any:
        return self.aws.client("stepfunctions")


def listening(aws: LocalAws, name: str, outputs: dict[str, str]) -> Stack:
    sqs, queue = aws.client("sqs"), f"{name}-messages"
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=outputs["TopicArn"], Protocol="sqs", Endpoint=arn)
    return Stack(aws, name, Names(name).stack, outputs, url)


@pytest.fixture(scope="module")
def two(running_aws: LocalAws) -> tuple[Stack, Stack]:
    second = running_aws.deploy_beside("team-2", "Team-2")
    return listening(running_aws, DEFAULT_NAME, running_aws.outputs), listening(running_aws, "team-2", second)


@pytest.fixture(params=["the first", "the second"])
def one_and_other(request: pytest.FixtureRequest, two: tuple[Stack, Stack], aws: LocalAws) -> tuple[Stack, Stack]:
    one, other = two if request.param == "the first" else two[::-1]
    for stack in two:
        stack.messages()
    return one, other


def test_each_stack_cuts_over_and_reports_only_its_own_outcome(
    aws: LocalAws, one_and_other: tuple[Stack, Stack]
) -> None:
    one, other = one_and_other
    reported, reported_by_the_other = one.outcomes(), other.outcomes()
    words = ["start", "--server", "tao", "--stack", one.stack, "--json"]
    done = subprocess.run([*CLIENT, *words], env=environment(aws), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"] == "CUT_OVER"
    assert result["execution"].startswith(one.machine.replace(":stateMachine:", ":execution:") + ":")
    assert places(aws) == SWAPPED
    assert until(reported) == [(one.stack, "CUT_OVER")]
    assert until(one.messages) == [(f"{one.name}: web CUT_OVER", result["execution"])]
    assert aws.wait(other.start({"serverName": "bittybot"})).output["outcome"] == "CUT_OVER"
    assert until(reported_by_the_other) == [(other.stack, "CUT_OVER")]
    assert reported() == [(one.stack, "CUT_OVER")]
    assert [subject for subject, _ in until(other.messages)] == [f"{other.name}: web CUT_OVER"]
    assert one.messages() == []


def test_a_stopped_execution_is_repaired_by_its_own_stack_and_the_other_stack_does_not_see_its_lock(
    aws: LocalAws, one_and_other: tuple[Stack, Stack]
) -> None:
    one, other = one_and_other
    with aws.emulator.pause("DisassociateStaging", workflow=one.name) as pause:
        arn = one.start({"serverName": "tao"})
        until(lambda: pause.execution == arn)
        assert one.holders() == [arn]
        assert other.holders() == []
        assert aws.wait(other.start({"dryRun": True})).output["outcome"] == "DRY_RUN"
        aws.client("stepfunctions").stop_execution(executionArn=arn)
    until(lambda: [repair for repair in one.repairs_of(arn) if repair["status"] == "SUCCEEDED"])
    assert len(one.repairs_of(arn)) == 1
    assert other.repairs_of(arn) == []
    assert one.holders() == []


def test_each_stack_has_its_own_alarms(two: tuple[Stack, Stack]) -> None:
    for stack in two:
        alarms = stack.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stack.name}-")["MetricAlarms"]
        assert {alarm["AlarmName"] for alarm in alarms} == {f"{stack.name}-{alarm}" for alarm in ALARMS}
        namespaces = {alarm["Namespace"] for alarm in alarms} - {"AWS/States"}
        assert namespaces == {stack.stack}
        assert {action for alarm in alarms for action in alarm["AlarmActions"]} == {stack.outputs["TopicArn"]}
