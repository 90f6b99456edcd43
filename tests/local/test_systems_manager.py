"""Commands on the local servers: sent with boto3 and the AWS CLI, run as processes, from the documents of the stack."""

import json
import subprocess
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from local.aws import PAIR, LocalAws
from local.deployment import ROOT
from local.environment import of_this_machine

OVER = ("Success", "Failed", "TimedOut", "Cancelled")
SHELL = "test.shell"
CONTENT = json.dumps({
    "schemaVersion": "2.2",
    "parameters": {"Script": {"type": "String"}, "TimeoutSeconds": {"type": "String", "default": "60"}},
    "mainSteps": [{
        "action": "aws:runShellScript", "name": "run",
        "inputs": {"timeoutSeconds": "{{ TimeoutSeconds }}", "runCommand": ["{{ Script }}"]},
    }],
})  # fmt: skip


@pytest.fixture
def run(aws: LocalAws) -> Callable[..., str]:
    """Sends a script to tao: the id of the command."""
    aws.systems_manager.core.register(SHELL, CONTENT)

    def send(script: str, **parameters: str) -> str:
        values = {"Script": script, **parameters}
        sent = aws.client("ssm").send_command(
            DocumentName=SHELL,
            InstanceIds=[aws.servers["tao"].instance_id],
            Parameters={name: [value] for name, value in values.items()},
        )
        return str(sent["Command"]["CommandId"])

    return send


def shown(aws: LocalAws, command_id: str, *until: str) -> dict[str, Any]:
    """The invocation, once it has one of these states."""
    ssm, deadline = aws.client("ssm"), time.monotonic() + 30
    while True:
        try:
            answer: dict[str, Any] = ssm.get_command_invocation(
                CommandId=command_id, InstanceId=aws.servers["tao"].instance_id
            )
        except ssm.exceptions.InvocationDoesNotExist:
            answer = {"Status": "no such invocation"}
        if answer["Status"] in until:
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)


def release_of(aws: LocalAws, name: str) -> str:
    server = aws.servers[name]
    curl = ["curl", "-si", "--max-time", "5", f"http://{server.address}:{server.port}/"]
    answer = subprocess.run(curl, capture_output=True, text=True, check=True, env=of_this_machine()).stdout
    return next(line.split(": ")[1] for line in answer.splitlines() if line.startswith("X-Release"))


def test_the_document_of_the_stack_deploys_a_release(aws: LocalAws) -> None:
    (name,) = [name for name in aws.systems_manager.core.documents if name.startswith("eip-cutover.")]
    values = {
        "Step": "deploy", "Pair": PAIR, "Server": "tao", "Release": "7", "Execution": "test", "TimeoutSeconds": "60",
    }  # fmt: skip
    port = aws.servers["tao"].port
    sent = aws.client("ssm").send_command(
        DocumentName=name,
        DocumentVersion="1",
        DocumentHash=sha256(aws.systems_manager.core.documents[name].encode()).hexdigest(),
        DocumentHashType="Sha256",
        InstanceIds=[aws.servers["tao"].instance_id],
        Parameters={name: [value] for name, value in values.items()},
    )
    ended = shown(aws, sent["Command"]["CommandId"], *OVER)
    assert (ended["Status"], ended["StandardOutputContent"]) == ("Success", "release 7 runs\n")
    assert (release_of(aws, "tao"), release_of(aws, "bittybot"), aws.servers["tao"].port) == ("7", "1", port)


def test_the_document_of_aws_runs_any_script_on_a_server(aws: LocalAws) -> None:
    sent = aws.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[aws.servers["tao"].instance_id],
        Parameters={"commands": ["PATH=$PATH:/usr/local/bin deploy 9-unhealthy"]},
    )
    assert shown(aws, sent["Command"]["CommandId"], *OVER)["StandardOutputContent"] == "release 9-unhealthy runs\n"
    assert release_of(aws, "tao") == "9-unhealthy"


def test_servers_and_addresses_are_tagged_as_a_test_pair(aws: LocalAws) -> None:
    ec2, tagged = aws.client("ec2"), {"Key": "eip-cutover:test-pair", "Value": "true"}
    ids = [server.instance_id for server in aws.servers.values()]
    reservations = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    instances = [instance for each in reservations for instance in each["Instances"]]
    addresses = ec2.describe_addresses(AllocationIds=[each.allocation_id for each in aws.addresses.values()])
    assert [tagged in each["Tags"] for each in (*instances, *addresses["Addresses"])] == [True] * 4


def test_the_aws_cli_lists_a_command_and_reads_parameters_of_ministack(aws: LocalAws, run: Callable[..., str]) -> None:
    command = run("echo done")
    shown(aws, command, "Success")

    def cli(*words: str) -> Any:
        words = (str(ROOT / ".venv" / "bin" / "aws"), "ssm", *words)
        environment = of_this_machine() | aws.environment
        return json.loads(subprocess.run(words, capture_output=True, check=True, env=environment).stdout)

    assert [each["CommandId"] for each in cli("list-commands", "--max-items", "1")["Commands"]] == [command]
    assert cli("get-parameter", "--name", "/cdk-bootstrap/hnb659fds/version")["Parameter"]["Value"] == "30"


def test_a_cancelled_command_is_killed_with_its_children(aws: LocalAws, run: Callable[..., str]) -> None:
    command = run("sleep 999 & echo $! >child; wait")
    shown(aws, command, "InProgress")
    child = _pid(aws)
    aws.client("ssm").cancel_command(CommandId=command)
    assert shown(aws, command, "Cancelling")["StandardOutputContent"] == ""
    assert shown(aws, command, *OVER)["Status"] == "Cancelled"
    assert not _lives(child)


def test_a_command_that_runs_too_long_is_killed_although_nobody_asks(aws: LocalAws, run: Callable[..., str]) -> None:
    command = run("echo $$ >child; sleep 999", TimeoutSeconds="5")
    child = _pid(aws)
    _until(lambda: not _lives(child))
    assert shown(aws, command, *OVER)["StatusDetails"] == "ExecutionTimedOut"


def test_a_daemon_outlives_its_command_and_ends_with_the_local_aws(aws: LocalAws, run: Callable[..., str]) -> None:
    shown(aws, run("sleep 999 >/dev/null 2>&1 & echo $! >child"), "Success")
    child = _pid(aws)
    assert _lives(child)
    aws.systems_manager.core.forget_commands()
    _until(lambda: not _lives(child))


def test_a_server_that_stops_ends_the_command_when_it_is_back(aws: LocalAws, run: Callable[..., str]) -> None:
    command, tao = run("echo $$ >child; sleep 999"), aws.servers["tao"].instance_id
    child = _pid(aws)
    aws.client("ec2").stop_instances(InstanceIds=[tao])
    try:
        _until(lambda: not _lives(child))
        assert shown(aws, command, "InProgress", *OVER)["Status"] == "InProgress"
    finally:
        aws.client("ec2").start_instances(InstanceIds=[tao])
    assert "document process failed unexpectedly" in shown(aws, command, "Failed")["StandardErrorContent"]


def test_only_a_process_of_the_run_may_send_commands(aws: LocalAws) -> None:
    request = ["curl", "-s", "-X", "POST", "-H", "X-Amz-Target: AmazonSSM.SendCommand", "-d", "{}"]
    target = aws.environment["AWS_ENDPOINT_URL_SSM"]
    for headers in ([], ["-H", "Origin: http://example.com"]):
        answer = subprocess.run([*request, *headers, target], capture_output=True, text=True, check=True)
        assert answer.stdout.startswith("Refused")


def _pid(aws: LocalAws) -> int:
    """What a script on tao has written into the file `child`."""
    file = aws.servers["tao"].folder / "child"
    _until(lambda: file.exists() and file.read_text().strip() != "")
    pid = int(file.read_text())
    file.unlink()
    return pid


def _lives(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return shown.strip() != "" and not shown.startswith("Z")


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
