"""What a world records of its changes, shows of its past, and answers to requests."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from domain.pair import Pair
from domain.release_commands import document
from guarantees.trace import Places
from local.systems_manager_runs import HANGS, Result
from tests.simulation.world.errors import AwsError, NotModelled
from tests.simulation.world.web import silent, unhealthy, unhealthy_as_production, unhealthy_from
from tests.simulation.world.world import DOCUMENTS, STRANGER, TABLE, World

PRODUCTION, STAGING, BITTYBOT, TAO = "eipalloc-a", "eipalloc-b", "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"
PAIR: dict[str, Any] = {
    "production": PRODUCTION, "staging": STAGING, "servers": {"bittybot": BITTYBOT, "tao": TAO}, "healthCheck": [],
    "bakeSeconds": 0, "alarms": [], "deploy": {"command": "/opt/web/deploy", "timeoutSeconds": 60},
}  # fmt: skip
PRODUCTION_IP, STAGING_IP = "203.0.113.10", "203.0.113.11"
GET = b"GET /health HTTP/1.1\r\nHost: www.example.com\r\n\r\n"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World({"web": PAIR}, clock)


def associate(world: World, address: str, instance: str) -> None:
    world.answer("ec2", "AssociateAddress", {"AllocationId": address, "InstanceId": instance})


def asked(world: World, ip: str) -> str | None:
    """The status and the server of the answer, such as `200 tao 1`; None if there is none."""
    response = world.web.response(ip, GET, world.web.holder(ip))
    if response is None:
        return None
    head, _, body = response.decode().partition("\r\n\r\n")
    headers = dict(line.split(": ") for line in head.split("\r\n")[1:])
    assert int(headers["Content-Length"]) == len(body)
    return f"{head.split()[1]} {headers['X-Server']} {headers['X-Release']}"


def test_a_change_says_where_both_addresses_were_and_are_and_which_was_displaced(world: World, clock: Clock) -> None:
    associate(world, PRODUCTION, TAO)
    (change,) = world.ec2.changes
    assert (change.before, change.after) == (Places(BITTYBOT, TAO), Places(TAO, None))
    assert (change.at, change.action, change.allocation_id) == (clock.now, "AssociateAddress", PRODUCTION)
    assert (change.instance_id, change.displaced, change.by_someone_else) == (TAO, (STAGING,), False)


def test_a_call_that_changes_nothing_is_not_recorded_as_a_change(world: World) -> None:
    associate(world, PRODUCTION, BITTYBOT)
    world.ec2.move(STAGING, TAO)
    world.ec2.move(world.ec2.third, None)
    assert world.ec2.changes == []


def test_someone_else_displaces_production_with_an_address_of_no_pair(world: World) -> None:
    world.ec2.move(world.ec2.third, BITTYBOT)
    (change,) = world.ec2.changes
    assert change.by_someone_else
    assert (change.before, change.after) == (Places(BITTYBOT, TAO), Places(None, TAO))
    assert (change.allocation_id, change.displaced) == (world.ec2.third, (PRODUCTION,))
    world.ec2.move(world.ec2.third, STRANGER)
    assert world.ec2.changes[1].before is world.ec2.changes[1].after is None


def test_a_terminated_instance_loses_its_addresses_for_ever(world: World) -> None:
    world.ec2.terminate(TAO)
    assert world.ec2.places() == Places(BITTYBOT, None)
    assert world.ec2.changes[0].displaced == (STAGING,)
    with pytest.raises(AwsError, match="InvalidInstanceID"):
        associate(world, STAGING, TAO)


def test_a_description_may_show_the_past_of_each_address(world: World, clock: Clock) -> None:
    clock.now = 1001
    associate(world, PRODUCTION, TAO)
    clock.now = 1002
    associate(world, STAGING, BITTYBOT)

    def holders(as_of: float | None) -> list[str | None]:
        ids = {"AllocationIds": [PRODUCTION, STAGING]}
        shown = world.answer("ec2", "DescribeAddresses", ids, as_of=as_of)["Addresses"]
        return [each.get("InstanceId") for each in shown]

    assert [holders(each) for each in (0, 1000.9, 1001, 1001.9, 1002, None)] == [
        [BITTYBOT, TAO], [BITTYBOT, TAO], [TAO, None], [TAO, None], [TAO, BITTYBOT], [TAO, BITTYBOT],
    ]  # fmt: skip


def test_the_holder_of_an_address_answers_if_it_runs(world: World) -> None:
    assert asked(world, PRODUCTION_IP) == "200 bittybot 1"
    associate(world, PRODUCTION, TAO)
    assert asked(world, PRODUCTION_IP) == "200 tao 1"
    assert asked(world, STAGING_IP) is None
    world.ec2.stop(TAO)
    assert world.web.holder(PRODUCTION_IP) is None
    world.ec2.start(TAO)
    assert asked(world, PRODUCTION_IP) == "200 tao 1"


def test_a_request_on_its_way_gets_no_answer_of_a_server_that_stopped_meanwhile(world: World) -> None:
    holder = world.web.holder(PRODUCTION_IP)
    world.ec2.stop(BITTYBOT)
    assert world.web.response(PRODUCTION_IP, GET, holder) is None


def test_a_move_may_reach_clients_later(world: World, clock: Clock) -> None:
    world.web.moving_seconds = 5
    clock.now = 1100
    associate(world, PRODUCTION, TAO)
    clock.now = 1104
    assert asked(world, PRODUCTION_IP) == "200 bittybot 1"
    clock.now = 1105
    assert asked(world, PRODUCTION_IP) == "200 tao 1"


@pytest.mark.parametrize(
    ("behaviour", "answers"),
    [
        (unhealthy, ["500 tao 1", "500 tao 1"]),
        (unhealthy_as_production, ["200 tao 1", "500 tao 1"]),
        (unhealthy_from(1001), ["200 tao 1", "500 tao 1"]),
        (silent, [None, None]),
    ],
)
def test_a_server_answers_as_it_behaves(world: World, clock: Clock, behaviour: Any, answers: list[str | None]) -> None:
    world.web.behaviours[TAO] = behaviour
    as_staging = asked(world, STAGING_IP)
    clock.now = 1001
    associate(world, PRODUCTION, TAO)
    assert [as_staging, asked(world, PRODUCTION_IP)] == answers


def deploy(world: World, release: str, *, number: int = 1) -> str:
    runs = document(Pair.from_json("web", PAIR))
    assert runs
    values = {
        "Step": "deploy", "Pair": "web", "Server": "tao", "Release": release, "Execution": "e", "TimeoutSeconds": "60",
    }  # fmt: skip
    parameters = {
        "DocumentName": f"{DOCUMENTS}{runs.key}", "DocumentHash": runs.hash, "DocumentHashType": "Sha256",
        "DocumentVersion": "1", "InstanceIds": [TAO], "TimeoutSeconds": 60, "Comment": "deploy e",
        "Parameters": {name: [value] for name, value in values.items()},
    }  # fmt: skip
    sent: Mapping[str, Any] = world.answer("ssm", "SendCommand", parameters)["Command"]
    assert isinstance(sent["RequestedDateTime"], datetime)
    return str(sent["CommandId"])


def test_a_server_has_the_release_that_was_deployed_to_it_last(world: World, clock: Clock) -> None:
    world.ssm.runs(Result(seconds=10), step="deploy")
    deploy(world, "7")
    clock.now += 5
    assert asked(world, STAGING_IP) == "200 tao 1"
    clock.now += 10
    assert asked(world, STAGING_IP) == "200 tao 7"
    world.ssm.runs(Result(1), step="deploy")
    deploy(world, "8")
    clock.now += 10
    assert asked(world, STAGING_IP) == "200 tao 7"
    assert asked(world, PRODUCTION_IP) == "200 bittybot 1"


def test_a_command_is_interrupted_when_its_server_stops_even_if_nobody_asks_before_it_runs_again(
    world: World, clock: Clock
) -> None:
    world.ssm.runs(HANGS)
    command = deploy(world, "7")
    clock.now += 5
    world.ec2.stop(TAO)
    clock.now += 5
    world.ec2.start(TAO)
    shown = {"CommandId": command, "InstanceId": TAO}
    with pytest.raises(AwsError, match="InvocationDoesNotExist"):
        world.answer("ssm", "GetCommandInvocation", shown)
    assert world.answer("ssm", "GetCommandInvocation", shown)["Status"] == "Failed"


def test_the_ids_of_two_worlds_are_the_same(clock: Clock) -> None:
    def ids() -> tuple[Any, ...]:
        world = World({"web": PAIR}, clock)
        associate(world, PRODUCTION, TAO)
        return deploy(world, "7"), world.ec2.description(PRODUCTION), world.ec2.changes

    assert ids() == ids()


def test_messages_events_and_alarms_are_kept_with_their_times(world: World, clock: Clock) -> None:
    world.answer("sns", "Publish", {"TopicArn": "t", "Subject": "s", "Message": "m"})
    world.answer("events", "PutEvents", {"Entries": [{"Detail": "{}"}]})
    world.cloudwatch.set_alarm("5xx", "ALARM")
    assert (world.sns.published[0]["Message"], world.sns.published[0]["at"]) == ("m", clock.now)
    assert world.events.put == [{"Detail": "{}", "at": clock.now}]
    shown = world.answer("cloudwatch", "DescribeAlarms", {"AlarmNames": ["5xx", "unknown"]})
    assert [each["StateValue"] for each in shown["MetricAlarms"]] == ["ALARM"]


@pytest.mark.parametrize("subject", ["", "s" * 100, "ü", "a\nb"])
def test_sns_refuses_a_subject_that_it_could_not_send(world: World, subject: str) -> None:
    with pytest.raises(AwsError, match="InvalidParameter"):
        world.answer("sns", "Publish", {"TopicArn": "t", "Subject": subject, "Message": "m"})


@pytest.mark.parametrize(
    ("service", "action", "parameters"),
    [
        ("ec2", "ReleaseAddress", {}),
        ("ec2", "DescribeAddresses", {"PublicIps": [PRODUCTION_IP]}),
        ("ec2", "DescribeInstances", {"Filters": [{"Name": "tag:Name", "Values": ["tao"]}]}),
        ("dynamodb", "PutItem", {"TableName": TABLE}),
        ("sns", "Subscribe", {}),
        ("s3", "GetObject", {}),
    ],
)
def test_a_call_that_is_not_modelled_is_not_guessed(world: World, service: str, action: str, parameters: Any) -> None:
    with pytest.raises(NotModelled):
        world.answer(service, action, parameters)


def test_a_server_with_a_named_interface_has_two_and_needs_the_name(clock: Clock) -> None:
    world = World({"web": {**PAIR, "networkInterfaces": {"bittybot": "eni-1", "tao": "eni-2"}}}, clock)
    assert world.ec2.description(PRODUCTION)["NetworkInterfaceId"] == "eni-1"
    with pytest.raises(AwsError, match="multiple interfaces"):
        associate(world, PRODUCTION, TAO)
    world.answer("ec2", "AssociateAddress", {"AllocationId": PRODUCTION, "NetworkInterfaceId": "eni-2"})
    assert world.ec2.places() == Places(TAO, None)
