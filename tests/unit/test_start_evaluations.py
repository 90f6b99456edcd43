"""Which pairs a schedule evaluates, how far apart, and which are evaluated because someone else moves an address."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

import start_evaluations
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import Context

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:eip-cutover-readiness"
ROLES = "arn:aws:iam::123456789012:role/associate", "arn:aws:iam::123456789012:role/disassociate"
EVENT_ID = "b1b6b4d2-0c1f-4f2c-9d3e-3a5f5d1f0a11"
ALICE = "arn:aws:sts::123456789012:assumed-role/admin/alice"
SENTENCE = f"AssociateAddress was called by {ALICE} at 2026-11-30T12:00:00Z from 203.0.113.9."
FOREIGN = {"allocationId": "eipalloc-0ffffffff", "instanceId": "i-0ffffffff"}
LONG = "very.long-" * 6
DAILY, HOURLY = {"scheduleExpression": "rate(1 day)"}, {"scheduleExpression": "rate(1 hour)"}


class Machine:
    """Step Functions: the executions by name, and the `pauses` between them. It has `room` for so many. One that is
    started again began so long `ago`, and may still be `running`."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}
        self.ago, self.running, self.room = timedelta(), False, 1000
        self.pauses: list[float] = []
        self.client: Any = boto3.client("stepfunctions", "us-east-1")
        self.client.meta.events.register("before-call.sfn.StartExecution", self._start)

    def _start(self, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        asked = json.loads(params["body"])
        assert asked["stateMachineArn"] == MACHINE
        assert len(asked["name"]) <= 80
        exists = asked["name"] in self.started
        if exists and not self.running:
            return refusal(400, "ExecutionAlreadyExists")
        if not exists and len(self.started) == self.room:
            return refusal(500, "InternalFailure")
        self.started[asked["name"]] = json.loads(asked["input"])
        began = datetime.now(UTC) - (self.ago if exists else timedelta())
        return SimpleNamespace(status_code=200), {"executionArn": "...", "startDate": began}


def refusal(status: int, code: str) -> tuple[Any, dict[str, Any]]:
    return SimpleNamespace(status_code=status), {"Error": {"Code": code, "Message": "..."}}


@pytest.fixture(scope="module")
def account() -> Iterator[Ec2Account]:
    with mock_aws():
        yield Ec2Account()


@pytest.fixture
def ec2(account: Ec2Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ec2Account:
    account.reset()
    monkeypatch.setenv("PAIRS_FILE", str(tmp_path / "pairs.json"))
    monkeypatch.setenv("READINESS", MACHINE)
    monkeypatch.setenv("OWN_ROLES", " ".join(ROLES))
    configure(account, tmp_path)
    return account


@pytest.fixture
def machine() -> Machine:
    return Machine()


def configure(ec2: Ec2Account, folder: Path, **keys: Any) -> None:
    """The pair `web` of the account, with further keys, and the pair `api`, whose ids nobody has."""
    checks: dict[str, Any] = {"healthCheck": [{"deadlineSeconds": 4}], "bakeSeconds": 0, "alarms": []}
    checks["readiness"] = DAILY
    servers = {server.name: server.instance_id for server in ec2.pair.servers}
    web = checks | {"production": ec2.pair.production, "staging": ec2.pair.staging, "servers": servers} | keys
    others: dict[str, Any] = {
        "production": "eipalloc-0aaaaaaaa",
        "staging": "eipalloc-0bbbbbbbb",
        "servers": {"a": "i-0a", "b": "i-0b"},
    }
    others["readiness"] = checks["readiness"] if "other" in keys else False
    pairs = {keys.pop("name", "web"): web, keys.pop("other", "api"): checks | others}
    (folder / "pairs.json").write_text(json.dumps(pairs))


def event(action: str = "AssociateAddress", issuer: str | None = None, **request: Any) -> dict[str, Any]:
    """As EventBridge delivers it. Without a role that issued the session, it is a call of an IAM user."""
    session = {"sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer}, "attributes": {}}} if issuer else {}
    call = {
        "eventVersion": "1.09",
        "userIdentity": {"type": "AssumedRole", "arn": ALICE, **session},
        "eventTime": "2026-11-30T12:00:00Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": action,
        "sourceIPAddress": "203.0.113.9",
        "requestParameters": {"allowReassociation": True, **request},
        "responseElements": {"requestId": "r-1", "_return": True},
        "eventID": EVENT_ID,
    }
    return {"source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "detail": call}


class Call(Context):
    """A call by Lambda, which keeps the id when it tries again."""

    def __init__(self, request_id: str = EVENT_ID) -> None:
        self.aws_request_id = request_id


FIRST: Any = Call()


def started(sent: dict[str, Any], ec2: Ec2Account, machine: Machine, context: Any = FIRST) -> list[str]:
    clients: dict[str, Any] = {"ec2": ec2.client, "states": machine.client}
    names: list[str] = start_evaluations.handler(sent, context, **clients, sleep=machine.pauses.append)["started"]
    return names


def configure_many(folder: Path, count: int) -> list[str]:
    """Pairs that are evaluated every day, beside one that is evaluated every hour, and one that is not evaluated."""
    file = folder / "pairs.json"
    web = json.loads(file.read_text())["web"]
    daily = [f"pair-{number}" for number in range(count)]
    readiness = {"hourly": HOURLY, **dict.fromkeys(daily, DAILY), "never": False}
    (folder / "pairs.json").write_text(
        json.dumps({name: web | {"readiness": each} for name, each in readiness.items()})
    )
    return daily


def test_a_schedule_evaluates_the_pairs_of_its_expression(ec2: Ec2Account, machine: Machine, tmp_path: Path) -> None:
    daily = configure_many(tmp_path, 2)
    assert started(DAILY, ec2, machine) == daily
    assert [*machine.started.values()] == [{"pair": name} for name in daily]
    assert started(HOURLY, ec2, machine) == ["hourly"]
    assert started({"scheduleExpression": "rate(1 minute)"}, ec2, machine) == []
    assert ec2.calls == []


@pytest.mark.parametrize(("count", "pause"), [(1, 3), (3, 3), (200, 3), (400, 1.5)])
def test_evaluations_start_three_seconds_apart_and_all_within_ten_minutes(
    ec2: Ec2Account, machine: Machine, tmp_path: Path, count: int, pause: float
) -> None:
    configure_many(tmp_path, count)
    started(DAILY, ec2, machine)
    assert machine.pauses == [pause] * (count - 1)
    assert sum(machine.pauses) <= 600


@pytest.mark.parametrize("running", [True, False])
def test_a_call_that_is_tried_again_starts_what_is_missing_and_waits_only_for_that(
    ec2: Ec2Account, machine: Machine, tmp_path: Path, running: bool
) -> None:
    """Lambda tries again after a minute. The evaluations that began before may still run by then."""
    daily = configure_many(tmp_path, 5)
    machine.room = 2
    with pytest.raises(ec2.client.exceptions.ClientError, match="InternalFailure"):
        started(DAILY, ec2, machine)
    machine.room, machine.running, machine.ago, machine.pauses = 1000, running, timedelta(minutes=1), []
    assert started(DAILY, ec2, machine) == daily
    assert [each["pair"] for each in machine.started.values()] == daily
    assert machine.pauses == [3, 3]


def test_the_next_call_of_a_schedule_evaluates_the_pairs_again(
    ec2: Ec2Account, machine: Machine, tmp_path: Path
) -> None:
    configure_many(tmp_path, 2)
    started(DAILY, ec2, machine)
    started(DAILY, ec2, machine, Call(EVENT_ID.replace("b1", "b2")))
    assert len(machine.started) == 4


def test_a_move_by_someone_else_starts_an_evaluation_that_names_them(ec2: Ec2Account, machine: Machine) -> None:
    sent = event(allocationId=ec2.pair.production, instanceId="i-0ffffffff", issuer="arn:aws:iam::1:role/admin")
    assert started(sent, ec2, machine) == ["web"]
    ((name, given),) = machine.started.items()
    assert name.startswith("web-")
    assert given == {"pair": "web", "drift": SENTENCE}
    assert ec2.calls == [], "the ids say which pair it is"


@pytest.mark.parametrize("role", ROLES)
def test_a_move_by_the_stack_itself_starts_nothing(ec2: Ec2Account, machine: Machine, role: str) -> None:
    assert started(event(allocationId=ec2.pair.production, issuer=role), ec2, machine) == []
    assert machine.started == {}


def test_an_event_that_comes_twice_starts_one_evaluation_and_another_event_starts_another(
    ec2: Ec2Account, machine: Machine
) -> None:
    sent = event("ReleaseAddress", allocationId=ec2.pair.staging)
    assert started(sent, ec2, machine) == started(sent, ec2, machine) == ["web"]
    assert len(machine.started) == 1
    sent["detail"]["eventID"] = EVENT_ID.replace("b1", "b2")
    started(sent, ec2, machine)
    assert len(machine.started) == 2


def test_an_execution_can_be_named_after_a_pair_with_any_name(
    ec2: Ec2Account, machine: Machine, tmp_path: Path
) -> None:
    configure(ec2, tmp_path, name=LONG)
    assert started(event(allocationId=ec2.pair.staging), ec2, machine) == [LONG]
    (name,) = machine.started
    assert name.startswith("very_long-very_long-")
    ec2.take_off("staging")
    configure(ec2, tmp_path, name=LONG, other=f"{LONG}2")
    assert started(event(associationId="eipassoc-1"), ec2, machine) == [LONG, f"{LONG}2"]
    assert len(machine.started) == 2, "the same event for another pair is another execution"


def test_an_address_that_is_put_on_a_server_of_the_pair_concerns_the_pair(ec2: Ec2Account, machine: Machine) -> None:
    on_tao = FOREIGN | {"instanceId": ec2.tao.instance_id}
    assert started(event(**on_tao), ec2, machine) == ["web"]


def test_an_address_or_interface_that_the_request_calls_otherwise_is_looked_up(
    ec2: Ec2Account, machine: Machine
) -> None:
    interface = ec2.interface_of(ec2.tao)
    assert started(event(allocationId="eipalloc-0ffffffff", networkInterfaceId=interface), ec2, machine) == ["web"]
    assert started(event(publicIp="198.51.100.1", instanceId="i-0ffffffff"), ec2, machine) == ["web"]
    assert started(event(publicIp="198.51.100.7", instanceId="i-0ffffffff"), ec2, machine) == []
    assert ec2.calls == ["DescribeAddresses"] * 3


def test_the_interface_that_is_configured_is_known(ec2: Ec2Account, machine: Machine, tmp_path: Path) -> None:
    configure(ec2, tmp_path, networkInterfaces={"bittybot": "eni-1", "tao": "eni-2"})
    assert started(event(allocationId="eipalloc-0ffffffff", networkInterfaceId="eni-2"), ec2, machine) == ["web"]
    assert ec2.calls == []


@pytest.mark.parametrize("name", ["production", "staging"])
def test_an_association_that_has_ended_concerns_the_pairs_that_have_an_address_on_no_server(
    ec2: Ec2Account, machine: Machine, name: str
) -> None:
    ended = event("DisassociateAddress", associationId="eipassoc-1")
    assert started(ended, ec2, machine) == []
    ec2.take_off(name)
    assert started(ended, ec2, machine) == ["web"]


def test_addresses_and_servers_of_nobody_here_concern_no_pair_and_are_not_looked_up(
    ec2: Ec2Account, machine: Machine
) -> None:
    assert started(event(**FOREIGN), ec2, machine) == []
    assert ec2.calls == []


def test_a_pair_that_is_not_evaluated_is_left_alone(ec2: Ec2Account, machine: Machine, tmp_path: Path) -> None:
    ec2.take_off("staging")
    configure(ec2, tmp_path, readiness=False)
    for sent in (event(allocationId=ec2.pair.production), event(associationId="eipassoc-1")):
        assert started(sent, ec2, machine) == []
    configure(ec2, tmp_path, readiness=DAILY)
    assert started(event(allocationId=ec2.pair.production), ec2, machine) == ["web"]


def test_a_service_is_named_by_its_domain(ec2: Ec2Account, machine: Machine) -> None:
    sent = event(allocationId=ec2.pair.production)
    sent["detail"]["userIdentity"] = {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}
    started(sent, ec2, machine)
    (given,) = machine.started.values()
    assert given["drift"].startswith("AssociateAddress was called by autoscaling.amazonaws.com at ")


def test_the_sentence_is_printable_and_not_long(ec2: Ec2Account, machine: Machine) -> None:
    sent = event(allocationId=ec2.pair.production)
    sent["detail"]["userIdentity"]["arn"] = "<!channel>\n" + "é" * 1000
    started(sent, ec2, machine)
    (given,) = machine.started.values()
    assert given["drift"].startswith("AssociateAddress was called by \\x3c!channel>???")
    assert len(given["drift"]) == 400


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in ("userIdentity", "eventID", "eventTime", "sourceIPAddress", "eventName")),
        ("userIdentity", {"type": "Unknown"}), ("userIdentity", "alice"), ("eventID", "not a UUID"),
        ("requestParameters", None), ("requestParameters", ["eipalloc-1"]),
    ],
)  # fmt: skip
def test_a_malformed_event_is_logged_and_starts_nothing(
    ec2: Ec2Account, machine: Machine, key: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sent = event(allocationId=ec2.pair.production)
    del sent["detail"][key]
    sent["detail"] |= {} if value is None else {key: value}
    assert started(sent, ec2, machine) == started({"detail": "text"}, ec2, machine) == started({}, ec2, machine) == []
    assert caplog.text.count("Malformed event") == 3
    assert machine.started == {}


def test_an_error_of_ec2_is_raised_so_that_lambda_tries_again(ec2: Ec2Account, machine: Machine) -> None:
    ec2.fail("DescribeAddresses", "UnauthorizedOperation")
    with pytest.raises(ec2.client.exceptions.ClientError, match="UnauthorizedOperation"):
        started(event(associationId="eipassoc-1"), ec2, machine)
