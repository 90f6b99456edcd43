"""A release in one execution on the local AWS: real commands on real servers, while users ask for answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import LocalAws
from local.load import Load
from tests.local.situation import AS_BEFORE, SWAPPED, locks, places, until

# What the releases do, by the beginning of their names.
DEPLOY = """
case "$RELEASE" in broken*) echo unpacking; echo no space left >&2; exit 3;; hangs*) echo $$ >hangs; sleep 600;;
reboots*) if [ ! -e again ]; then touch again; exit 194; fi;; esac; deploy "$RELEASE"
"""
ON_HOOKS = {
    "beforeCutover": [{"server": "live", "command": "touch drained"}],
    "afterCutover": [{"server": "live", "command": "echo $SERVER $RELEASE >workers"}],
    "afterRollback": [{"server": "live", "command": "rm drained"}],
}
QUICK = {"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}


@pytest.fixture(scope="module")
def running() -> Iterator[LocalAws]:
    command = {"command": " ".join(DEPLOY.split()), "timeoutSeconds": 60}
    pair = {"deploy": command, "hooks": ON_HOOKS, "bakeSeconds": 2, "approval": {"timeoutMinutes": 1}}
    with LocalAws(time_scale=0.02, health_check=QUICK, pair=pair) as aws:
        yield aws


@pytest.fixture
def aws(running: LocalAws) -> Iterator[LocalAws]:
    """Production on bittybot, staging on tao, release 6 on both."""
    running.reset()
    for server in running.servers.values():
        server.deploy(release=6)
        server.restart()
        for file in ("again", "drained", "hangs", "workers"):
            (server.folder / file).unlink(missing_ok=True)
    yield running
    for lock in locks(running):
        running.client("stepfunctions").stop_execution(executionArn=lock.execution)
    until(lambda: not locks(running))


def waits(aws: LocalAws, arn: str) -> str:
    """The task token of an execution that waits for approval."""
    item: Any = {"TableName": aws.outputs["LockTableName"], "Key": {"pair": {"S": "web"}}, "ConsistentRead": True}

    def token() -> str | None:
        found = aws.client("dynamodb").get_item(**item).get("Item", {})
        assert aws.look(arn).status == "RUNNING", aws.look(arn)
        return str(found["approvalToken"]["S"]) if "approvalToken" in found else None

    return until(token)


def approved(aws: LocalAws, arn: str) -> None:
    by = json.dumps({"approvedBy": "a test"})
    aws.client("stepfunctions").send_task_success(taskToken=waits(aws, arn), output=by)


def test_users_get_a_baked_release_without_a_failed_request(aws: LocalAws) -> None:
    with Load(aws.production_ip, aws.server_port) as load:
        arn = aws.start({"release": "7"})
        approved(aws, arn)
        ended = aws.wait(arn)
    assert ended.output["outcome"] == "CUT_OVER"
    assert [answer for answer in load.answers if not answer.good] == []
    assert {answer.who for answer in load.answers} == {"bittybot, release 6", "tao, release 7"}
    assert (aws.servers["tao"].folder / "workers").read_text() == "tao 7\n"
    assert (aws.servers["bittybot"].folder / "drained").exists()
    assert aws.execute({"release": "7"}).output["outcome"] == "ALREADY_LIVE"
    assert places(aws) == SWAPPED


@pytest.mark.parametrize(("release", "outcome"), [("broken-7", "DeployFailed"), ("reboots-7", "CUT_OVER")])
def test_a_deployment_that_fails_or_restarts_its_server_is_not_noticed_by_users(
    aws: LocalAws, release: str, outcome: str
) -> None:
    with Load(aws.production_ip, aws.server_port) as load:
        arn = aws.start({"release": release})
        if outcome == "CUT_OVER":
            approved(aws, arn)
        ended = aws.wait(arn)
    assert (ended.output or {}).get("outcome", ended.error) == outcome
    assert [answer for answer in load.answers if not answer.good] == []
    if outcome == "DeployFailed":
        assert places(aws) == AS_BEFORE
        assert "| no space left" in str(ended.cause)
        assert {answer.who for answer in load.answers} == {"bittybot, release 6"}


def test_two_commands_never_run_on_one_server(aws: LocalAws) -> None:
    """The execution is stopped while its deployment hangs, and another one is started at once."""
    hanging = aws.servers["tao"].folder / "hangs"
    first = aws.start({"release": "hangs-7"})
    until(hanging.exists)
    aws.client("stepfunctions").stop_execution(executionArn=first)
    second = aws.start({"release": "8", "waitSeconds": 60})
    approved(aws, second)
    assert aws.wait(second).output["outcome"] == "CUT_OVER"
    core = aws.systems_manager.core
    assert core.overlaps() == []
    of_deploy = [command for command in core.commands if command.parameters["Step"] == "deploy"]
    assert [command.status for command in of_deploy] == ["Cancelled", "Success"]


def test_a_rejected_release_is_not_approved(aws: LocalAws) -> None:
    arn = aws.start({"release": "7"})
    token, cause = waits(aws, arn), "rejected by a test: not on a Friday"
    aws.client("stepfunctions").send_task_failure(taskToken=token, error="Rejected", cause=cause)
    ended = aws.wait(arn)
    assert (ended.error, places(aws)) == ("NotApproved", AS_BEFORE)
    assert cause in str(ended.cause)


def test_a_rollback_ends_the_wait_for_approval(aws: LocalAws) -> None:
    arn = aws.start({"release": "7"})
    waits(aws, arn)
    rollback = aws.execute({"rollback": True})
    ended = aws.wait(arn)
    assert (ended.error, places(aws)) == ("NotApproved", AS_BEFORE)
    assert rollback.arn in str(ended.cause)
    assert "asked to roll back" in str(rollback.cause or rollback.output)
