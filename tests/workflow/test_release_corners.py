"""Corners of a release, each of which was wrong once."""

import json
from typing import Any

import pytest

from domain.release_commands import Command
from local.systems_manager_runs import HANGS, Result
from tests.workflow.account import Aws
from tests.workflow.deployments import configure, refused
from tests.workflow.engine import stopping_before
from tests.workflow.given_hooks import hook, ran
from tests.workflow.web import Web

SEVEN = {"release": "7"}


def stopped_before(aws: Aws, state: str, request: dict[str, Any]) -> str:
    with stopping_before(state):
        arn = aws.start(request)
        aws.until(lambda: aws.status(arn) == "ABORTED")
    return arn


def test_a_server_to_which_the_deployment_failed_does_not_have_the_release(aws: Aws, web: Web) -> None:
    configure(aws, web, header=False)
    aws.systems_manager.runs(Result(1), step="deploy")
    assert aws.execute(SEVEN).outcome == "DeployFailed"
    stopped_before(aws, "HealthCheckProduction", {})  # a cutover without a release, to the same server
    configure(aws, web, header=False)
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    assert aws.places == ("bittybot", "tao")


def test_the_same_input_finishes_what_a_stopped_execution_has_deployed_and_moved(aws: Aws, web: Web) -> None:
    configure(aws, web, header=False)
    stopped_before(aws, "HealthCheckProduction", SEVEN)
    assert aws.execute(SEVEN).outcome == "ALREADY_LIVE"
    assert (aws.places, len(aws.systems_manager.commands)) == (("tao", "bittybot"), 1)


def test_nobody_approves_while_production_is_on_no_server(aws: Aws, web: Web) -> None:
    configure(aws, web, approval={"timeoutMinutes": 60})
    aws.disassociate(aws.production)
    ended = aws.execute({"release": "7", "serverName": "tao"})
    assert (ended.outcome, "WaitForApproval" in ended.states) == ("CUT_OVER", False)


def test_a_deployment_that_was_throttled_and_never_sent_changes_no_record(aws: Aws, web: Web) -> None:
    configure(aws, web)
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    with refused("ssm.SendCommand", "ThrottlingException"):
        ended = aws.execute({"release": "8"})
    assert ended.outcome == "DeployFailed"
    assert "ThrottlingException" in str(ended.cause)
    assert aws.record.rollback_to.server == "bittybot"
    assert set(aws.record.releases) == {"tao"}


@pytest.mark.parametrize("state", ["HealthCheckProduction", "Bake?"])
def test_hooks_that_an_interrupted_cutover_has_left_are_in_the_warnings_of_the_repair(
    aws: Aws, web: Web, state: str
) -> None:
    configure(aws, web, hooks={"beforeCutover": [hook("live")], "afterCutover": [hook("idle")], "afterRollback": []})
    arn = stopped_before(aws, state, {})
    (warning,) = aws.repair(arn).output["warnings"]
    assert f"{arn} was interrupted when it had made tao live." in warning
    assert "check both servers" in warning


def test_a_rollback_that_is_interrupted_before_its_hooks_is_completed_by_the_repair(aws: Aws, web: Web) -> None:
    """Without hooks before the cutover, as in the recipe for jobs."""
    after = [hook("idle"), hook("live")]
    configure(aws, web, hooks={"beforeCutover": [], "afterCutover": after, "afterRollback": after})
    aws.systems_manager.runs(Result(1), step="afterCutover1")
    arn = stopped_before(aws, "AfterRollback", {})
    assert aws.repair(arn).outcome == "REPAIRED"
    assert ran(aws)[-2:] == [("afterRollback0", "tao"), ("afterRollback1", "bittybot")]


def test_a_command_of_another_version_of_the_stack_still_counts(aws: Aws, web: Web) -> None:
    """Its item has a key that this version does not know."""
    configure(aws, web)
    aws.systems_manager.runs(HANGS, step="deploy")
    arn = aws.start(SEVEN)
    aws.until(lambda: any(command.began for command in aws.systems_manager.commands))
    text = aws.locks[0]["command"]["S"]
    newer = Command.from_text(json.dumps({**json.loads(text), "a later key": 1}))
    assert newer == Command.from_text(text)
    aws.sfn.stop_execution(executionArn=arn)


def test_the_notification_of_many_hooks_that_failed_is_not_too_long(aws: Aws, web: Web) -> None:
    many = [hook("idle", onFailure="CONTINUE") for _ in range(10)]
    configure(aws, web, hooks={"beforeCutover": many, "afterCutover": many, "afterRollback": []})
    aws.systems_manager.runs(Result(1, output=f"{'x' * 190}\n" * 20))
    aws.systems_manager.runs(Result(), step="deploy")
    assert aws.execute({}).outcome == "CUT_OVER"
    (message,) = aws.messages
    assert len(json.dumps(message)) < 200_000
