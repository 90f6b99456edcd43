"""Evaluations on the local AWS: each cause is reported at the next evaluation, once, and once when it is repaired."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme

from domain.record import Record
from local.aws import LocalAws
from local.faults import Fault
from local.server import CERTIFICATE_FILE
from tests.local.conftest import TIME_SCALE
from tests.local.situation import lock_table, start_slowly, tidy, until
from tests.local.test_monitoring import function_of
from tests.local.test_runbook import ALARM, Alarmed, ring

CHECK = {"protocol": "HTTPS", "verifyCertificate": False, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1}
CHANGED = "Elastic IP Cutover Readiness Changed"
Message = dict[str, Any]


@dataclass
class Evaluated:
    """A pair on the local AWS whose servers speak HTTPS, and a queue of what its topic publishes."""

    aws: LocalAws
    queue: str

    @property
    def machine(self) -> str:
        return f"{self.aws.state_machine_arn}-readiness"

    def evaluate(self, **more: str) -> Message:
        states = self.aws.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.machine, input=json.dumps({"pair": "web", **more}))
        execution = self.aws.wait(arn["executionArn"])
        assert execution.status == "SUCCEEDED", execution.cause
        return dict(execution.output)

    def record(self) -> Record:
        key = {"pair": {"S": "web"}}
        item = self.aws.client("dynamodb").get_item(TableName=lock_table(self.aws), Key=key, ConsistentRead=True)
        return Record.from_item(item["Item"])

    def messages(self) -> list[Message]:
        """What was published since the last call."""
        sqs, bodies = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def certify(self, server: str, *, days: float) -> None:
        issued = trustme.CA().issue_cert("www.example.com", not_after=datetime.now(UTC) + timedelta(days=days))
        pem = b"".join(blob.bytes() for blob in (issued.private_key_pem, *issued.cert_chain_pems))
        Path(self.aws.servers[server].folder, CERTIFICATE_FILE).write_bytes(pem)
        self.aws.servers[server].restart()


@pytest.fixture(scope="module")
def running() -> Iterator[Evaluated]:
    with Alarmed(time_scale=TIME_SCALE, health_check=CHECK) as aws:
        sqs = aws.client("sqs")
        url = sqs.create_queue(QueueName="evaluations")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws.client("sns").subscribe(TopicArn=aws.outputs["TopicArn"], Protocol="sqs", Endpoint=arn)
        yield Evaluated(aws, url)


@pytest.fixture
def evaluated(running: Evaluated) -> Evaluated:
    """Ready, and known to be ready, without a message."""
    tidy(running.aws)
    for server in running.aws.servers:
        running.certify(server, days=90)
    running.aws.reset()
    ring(running.aws, "OK")
    running.evaluate()
    assert running.evaluate()["ready"] is True
    running.messages()
    return running


def without_a_permission(evaluated: Evaluated) -> Callable[[], None]:
    evaluated.aws.ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="denied", times=None))
    return evaluated.aws.ec2.faults.clear


def with_the_idle_server_stopped(evaluated: Evaluated) -> Callable[[], None]:
    ec2, ids = evaluated.aws.client("ec2"), [evaluated.aws.servers["tao"].instance_id]
    ec2.stop_instances(InstanceIds=ids)
    return lambda: ec2.start_instances(InstanceIds=ids)


def with_staging_moved(evaluated: Evaluated) -> Callable[[], None]:
    evaluated.aws.place(production="bittybot", staging=None)
    return lambda: evaluated.aws.place(production="bittybot", staging="tao")


def with_an_expired_certificate(evaluated: Evaluated) -> Callable[[], None]:
    evaluated.certify("tao", days=-1)
    return lambda: evaluated.certify("tao", days=90)


def with_an_expiring_certificate_of_the_live_server(evaluated: Evaluated) -> Callable[[], None]:
    evaluated.certify("bittybot", days=2.5)
    return lambda: evaluated.certify("bittybot", days=90)


def with_an_alarm(evaluated: Evaluated) -> Callable[[], None]:
    ring(evaluated.aws)
    return lambda: ring(evaluated.aws, "OK")


def with_an_unhealthy_idle_server(evaluated: Evaluated) -> Callable[[], None]:
    evaluated.aws.servers["tao"].make_unhealthy()
    return evaluated.aws.servers["tao"].make_healthy


CAUSES = [
    (without_a_permission, "UnauthorizedOperation"),
    (with_the_idle_server_stopped, "stopped"),
    (with_staging_moved, "staging"),
    (with_an_expired_certificate, "expired"),
    (with_an_expiring_certificate_of_the_live_server, "bittybot"),
    (with_an_alarm, ALARM),
    (with_an_unhealthy_idle_server, "500"),
]


@pytest.mark.parametrize(("cause", "words"), CAUSES, ids=lambda value: getattr(value, "__name__", value))
def test_a_cause_is_reported_once_and_so_is_its_repair(
    evaluated: Evaluated, cause: Callable[[Evaluated], Callable[[], None]], words: str
) -> None:
    repair = cause(evaluated)
    first = evaluated.evaluate()
    assert first["ready"] is False
    assert any(words in reason for reason in first["reasons"]), first["reasons"]
    again = evaluated.evaluate()
    assert (again["ready"], again["since"]) == (False, first["since"])
    (message,) = evaluated.messages()
    assert (message["outcome"], message["pair"], message["reasons"]) == ("NOT_READY", "web", first["reasons"])
    repair()
    repaired = evaluated.evaluate()
    assert repaired["ready"] is True, repaired["reasons"]
    evaluated.evaluate()
    (message,) = evaluated.messages()
    assert (message["outcome"], message["pair"]) == ("READY", "web")


def test_a_cutover_that_starts_during_an_evaluation_is_neither_refused_nor_delayed(evaluated: Evaluated) -> None:
    aws, before = evaluated.aws, evaluated.record().readiness
    holder = start_slowly(aws)
    skipped = evaluated.evaluate()
    assert evaluated.record().readiness == before
    assert aws.wait(holder).output["outcome"] == "CUT_OVER"
    assert skipped != evaluated.evaluate()
    assert [message["outcome"] for message in evaluated.messages()] == ["CUT_OVER"]


def test_the_schedule_evaluates_each_pair(evaluated: Evaluated) -> None:
    """Its target is called with its own input, in place of Scheduler a day later."""
    scheduler, before = evaluated.aws.client("scheduler"), evaluated.record().readiness
    (schedule,) = scheduler.list_schedules(GroupName="eip-cutover-readiness")["Schedules"]
    details = scheduler.get_schedule(GroupName="eip-cutover-readiness", Name=schedule["Name"])
    assert details["ScheduleExpression"] == "rate(1 day)"
    assert details["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
    call = {"FunctionName": details["Target"]["Arn"], "Payload": details["Target"]["Input"]}
    evaluated.aws.client("lambda").invoke(InvocationType="Event", **call)
    until(lambda: evaluated.record().readiness != before)
    readiness = evaluated.record().readiness
    assert readiness
    assert readiness["ready"] is True


def test_a_move_by_someone_else_is_evaluated_at_once_and_names_them(evaluated: Evaluated) -> None:
    """CloudTrail's event. Only AWS may put it on the bus, so the function gets it here."""
    evaluated.aws.place(production="bittybot", staging=None)
    someone = {"type": "IAMUser", "arn": "arn:aws:iam::000000000000:user/kim"}
    detail = {
        "eventSource": "ec2.amazonaws.com", "eventName": "DisassociateAddress", "userIdentity": someone,
        "sourceIPAddress": "198.51.100.7", "eventTime": "2026-12-01T02:00:00Z", "eventID": str(uuid4()),
        "requestParameters": {"associationId": "eipassoc-0123456789abcdef0"}, "responseElements": {"_return": True},
    }  # fmt: skip
    event = {"source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "detail": detail}
    function = function_of(evaluated.aws, "start_evaluations")["FunctionName"]
    for _ in range(2):
        answer = evaluated.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        assert json.loads(answer["Payload"].read()) == {"started": ["web"]}
    (message,) = until(evaluated.messages)
    assert message["outcome"] == "NOT_READY"
    assert "DisassociateAddress was called by arn:aws:iam::000000000000:user/kim" in message["reasons"][-1]
    assert not evaluated.messages()
