"""How tests of this folder give the commands of Systems Manager. Its states: tests/unit/test_systems_manager.py."""

import time
from hashlib import sha256
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from domain.pair import Pair
from domain.release_commands import document
from local.systems_manager_agents import Command
from local.systems_manager_runs import HANGS, Result
from tests.workflow.account import DOCUMENTS, Aws
from tests.workflow.engine import REGION, scaled_time
from tests.workflow.web import Web

DEPLOY = {"command": '/opt/web/deploy "$RELEASE"', "timeoutSeconds": 60}


@pytest.fixture
def ssm(aws: Aws, web: Web) -> Any:
    aws.configure(port=web.port, pair={"deploy": DEPLOY})
    return boto3.client("ssm", REGION)


def send(aws: Aws, ssm: Any, *, release: str = "7", server: str = "tao") -> str:
    """Sends the command of the pair to deploy a release: the id of the command."""
    pair = Pair.from_json("web", {**_configured(aws), "deploy": DEPLOY})
    content = document(pair)
    assert content
    values = {
        "Step": "deploy", "Pair": "web", "Server": server, "Release": release, "Execution": "test",
        "TimeoutSeconds": "60",
    }  # fmt: skip
    sent = ssm.send_command(
        DocumentName=f"{DOCUMENTS}{content.key}",
        DocumentVersion="1",
        DocumentHash=sha256(content.content.encode()).hexdigest(),
        DocumentHashType="Sha256",
        InstanceIds=[aws.servers[server]],
        Parameters={name: [value] for name, value in values.items()},
        TimeoutSeconds=60,
        Comment="deploy test",
    )
    return str(sent["Command"]["CommandId"])


def _configured(aws: Aws) -> dict[str, Any]:
    servers, addresses = dict(aws.servers), {"production": aws.production, "staging": aws.staging}
    return {**addresses, "servers": servers, "healthCheck": [], "bakeSeconds": 0, "alarms": []}


def ended(aws: Aws, ssm: Any, command_id: str, server: str = "tao") -> dict[str, Any]:
    """The invocation, once it has ended."""
    shown: dict[str, Any] = {}

    def is_over() -> bool:
        try:
            shown.update(ssm.get_command_invocation(CommandId=command_id, InstanceId=aws.servers[server]))
        except ssm.exceptions.InvocationDoesNotExist:
            return False
        return shown["Status"] not in ("Pending", "InProgress", "Cancelling")

    aws.until(is_over)
    return shown


def test_a_command_has_the_result_that_the_test_gives(aws: Aws, ssm: Any) -> None:
    aws.systems_manager.runs(Result(output="deployed 7\n"))
    shown = ended(aws, ssm, send(aws, ssm))
    assert (shown["Status"], shown["StandardOutputContent"], shown["ResponseCode"]) == ("Success", "deployed 7\n", 0)
    (command,) = aws.systems_manager.commands
    assert (command.parameters["Release"], command.instance_id) == ("7", aws.servers["tao"])


def test_a_command_can_change_what_its_server_answers(aws: Aws, ssm: Any, web: Web) -> None:
    def deploy(command: Command) -> Result:
        web.headers[command.parameters["Server"]]["X-Release"] = command.parameters["Release"]
        return Result(seconds=2)

    aws.systems_manager.runs(deploy, step="deploy")
    ended(aws, ssm, send(aws, ssm))
    assert web.headers["tao"]["X-Release"] == "7"


def test_a_command_that_hangs_times_out_in_a_hundredth_of_its_time(aws: Aws, ssm: Any) -> None:
    aws.systems_manager.runs(HANGS)
    began = time.monotonic()
    assert ended(aws, ssm, send(aws, ssm))["StatusDetails"] == "ExecutionTimedOut"
    assert time.monotonic() - began < 10


def test_a_test_sees_that_two_commands_ran_at_once_on_one_server(aws: Aws, ssm: Any) -> None:
    aws.systems_manager.runs(HANGS)
    first, _elsewhere = send(aws, ssm), send(aws, ssm, server="bittybot")
    aws.until(lambda: all(command.began for command in aws.systems_manager.commands))
    assert aws.systems_manager.overlaps() == []
    second = send(aws, ssm)
    aws.until(lambda: all(command.began for command in aws.systems_manager.commands))
    assert [{a.id, b.id} for a, b in aws.systems_manager.overlaps()] == [{first, second}]


def test_a_stopped_server_and_one_without_an_agent_get_no_command(aws: Aws, ssm: Any) -> None:
    aws.systems_manager.agents.manner[aws.servers["tao"]] = "missing"
    aws.ec2.stop_instances(InstanceIds=[aws.servers["bittybot"]])
    for server in ("tao", "bittybot"):
        with pytest.raises(ClientError, match="not in a valid state for account") as error:
            send(aws, ssm, server=server)
        assert error.value.response["Error"]["Code"] == "InvalidInstanceId"


def test_the_times_and_the_list_are_those_of_a_client_of_aws(aws: Aws, ssm: Any) -> None:
    command = send(aws, ssm)
    (listed,) = ssm.list_commands(InstanceId=aws.servers["tao"])["Commands"]
    assert (listed["CommandId"], listed["Comment"]) == (command, "deploy test")
    assert abs(listed["RequestedDateTime"].timestamp() - scaled_time()) < 1_000
