"""Failures after the first change: both addresses are put back, or the cause has the commands for it."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Behaviour, Web, sick, sick_as_production, well

FORWARD = ["DisassociateAddress", "AssociateAddress", "AssociateAddress"]
BACK = ["AssociateAddress", "AssociateAddress"]


def test_a_release_that_fails_as_production_is_rolled_back(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    execution = aws.execute({})
    assert execution.outcome == "RolledBack"
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []
    assert ec2_calls.changes == FORWARD + BACK


def test_the_cause_of_a_rollback_has_the_first_error_and_what_is_true_now(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick_as_production
    cause = str(aws.execute({}).cause)
    assert cause.startswith("HealthCheckProduction failed with ProductionUnhealthy: tao")
    assert "expected status 200, found 500" in cause
    restored = "Rolled back: production 127.0.0.10 is on bittybot, staging 127.0.0.11 is on tao."
    assert f"{restored} bittybot answers its health check as production." in cause
    assert ".." not in cause


def test_a_restored_server_that_does_not_answer_is_reported(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick_as_production
    web.behaviour["bittybot"] = sick
    execution = aws.execute({})
    assert execution.outcome == "RolledBack"
    unhealthy = (
        f"ProductionUnhealthy: bittybot ({aws.servers['bittybot']}) is not healthy through the production address"
    )
    assert f"But bittybot fails its health check as production: {unhealthy}" in str(execution.cause)
    assert aws.places == ("bittybot", "tao")


@pytest.mark.parametrize(
    ("action", "nth", "state"),
    [
        ("DisassociateAddress", 1, "DisassociateStaging"),
        ("AssociateAddress", 1, "ReassociateProduction"),
        ("AssociateAddress", 2, "ReassociateStaging"),
    ],
)
def test_any_refused_change_is_rolled_back(aws: Aws, ec2_calls: EC2Calls, action: str, nth: int, state: str) -> None:
    ec2_calls.fail(action, "OperationNotPermitted", nth=nth)
    execution = aws.execute({})
    assert execution.outcome == "RolledBack"
    assert str(execution.cause).startswith(f"{state} failed with EC2Refused: {action} of the ")
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []


@pytest.mark.parametrize(
    ("disturbance", "outcome", "says"),
    [
        ("sick", "StagingUnhealthy", "tao"),
        ("permission", "PreflightFailed", "UnauthorizedOperation"),
        ("moved", "PreflightFailed", "The production address"),
    ],
)
def test_a_check_that_fails_after_staging_was_repaired_says_so_and_staging_stays(
    aws: Aws, web: Web, ec2_calls: EC2Calls, disturbance: str, outcome: str, says: str
) -> None:
    aws.disassociate(aws.staging)
    match disturbance:
        case "sick":
            web.behaviour["tao"] = sick
        case "permission":
            ec2_calls.fail("AssociateAddress (dry run)", "UnauthorizedOperation")
        case "moved":
            aws.servers["stranger"] = aws.launch()
            ec2_calls.before("DescribeAddresses", lambda: aws.associate(aws.production, "stranger"), nth=4)
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == outcome
    assert says in str(execution.cause)
    assert str(execution.cause).endswith(
        "Production was not touched. Staging was not on the idle server, and was put on tao."
    )
    assert aws.holder(aws.staging) == "tao"
    assert ec2_calls.changes == ["AssociateAddress"]
    assert aws.locks == []


def test_a_rollback_reports_and_does_not_undo_what_someone_else_did_with_production(
    aws: Aws, ec2_calls: EC2Calls
) -> None:
    aws.servers["stranger"] = aws.launch()
    ec2_calls.before("DisassociateAddress", lambda: aws.associate(aws.production, "stranger"))
    execution = aws.execute({})
    assert execution.outcome == "RollbackFailed"
    assert str(execution.cause).startswith("ReassociateProduction failed with AddressMoved")
    assert "which is not in the pair" in str(execution.cause)
    assert "RestoreProduction" not in execution.states
    assert aws.places == ("stranger", "tao")
    run(aws, str(execution.cause))
    assert aws.places == ("bittybot", "tao")


def test_a_refused_call_of_the_rollback_is_retried(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.fail("AssociateAddress", "OperationNotPermitted", nth=3, times=8)
    assert aws.execute({}).outcome == "RolledBack"
    assert aws.places == ("bittybot", "tao")


def test_a_rollback_that_ec2_refuses_gives_the_commands_that_finish_it(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.fail("AssociateAddress", "OperationNotPermitted", nth=3, times=100)
    execution = aws.execute({})
    assert execution.outcome == "RollbackFailed"
    cause = str(execution.cause)
    assert cause.startswith("HealthCheckProduction failed with ProductionUnhealthy")
    assert "RestoreProduction failed with EC2Refused" in cause
    assert "Production is on tao" in cause
    assert "RestoreStaging" not in execution.states
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []
    run(aws, cause)
    assert aws.places == ("bittybot", "tao")


def run(aws: Aws, cause: str) -> None:
    """Does what the commands in a cause say."""
    for command in cause.split("Run:\n")[1].split(" &&\n"):
        words = shlex.split(command)
        assert words[:3] == ["aws", "ec2", "associate-address"]
        options = dict(zip(words[3::2], words[4::2], strict=False))
        aws.ec2.associate_address(
            AllocationId=options["--allocation-id"],
            InstanceId=options["--instance-id"],
            AllowReassociation="--allow-reassociation" in words,
        )


def test_a_rollback_that_cannot_be_verified_gives_the_commands(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.before(
        "AssociateAddress", lambda: ec2_calls.fail_from_now_on("DescribeAddresses", "UnauthorizedOperation"), nth=4
    )
    execution = aws.execute({})
    assert execution.outcome == "RollbackFailed"
    assert "could not be described" in str(execution.cause)
    assert "run:\naws ec2 associate-address" in str(execution.cause)


@pytest.mark.parametrize(
    ("staging_off", "new_release", "nth", "to", "outcome"),
    [
        pytest.param(True, well, 1, "tao", "PreflightFailed", id="RepairStaging"),
        pytest.param(False, well, 2, "bittybot", "RolledBack", id="ReassociateStaging"),
        pytest.param(False, sick_as_production, 4, "tao", "RolledBack", id="RestoreStaging"),
    ],
)
@pytest.mark.parametrize("throttled", [0, 2])
def test_production_that_our_call_displaced_goes_back_at_once(
    aws: Aws,
    web: Web,
    ec2_calls: EC2Calls,
    staging_off: bool,
    new_release: Behaviour,
    nth: int,
    to: str,
    outcome: str,
    throttled: int,
) -> None:
    """Someone moves production to an instance just before this call puts staging there. EC2 displaces production."""
    if staging_off:
        aws.disassociate(aws.staging)
    web.behaviour["tao"] = new_release
    ec2_calls.before("AssociateAddress", lambda: aws.associate(aws.production, to), nth=nth)
    if throttled:
        ec2_calls.fail("AssociateAddress", "RequestLimitExceeded", nth=nth + 1, times=throttled)
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == outcome, execution.cause
    assert "Someone else moved the production address" in str(execution.cause)
    assert "not touched" not in str(execution.cause)
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []


def test_a_rollback_waits_for_a_function_that_lambda_made_inactive(aws: Aws, web: Web) -> None:
    """Only rollbacks call this function, so nobody may have called it for weeks."""
    web.behaviour["tao"] = sick_as_production
    pending = iter([True] * 9)

    def inactive(state: str, run: Callable[[], Any]) -> Any:
        if state == "DescribeRestored" and next(pending, False):
            raise engine.FunctionEnded("Lambda.CodeArtifactUserPendingException")
        return run()

    engine.AROUND_HANDLERS.append(inactive)
    try:
        execution = aws.execute({})
    finally:
        engine.AROUND_HANDLERS.remove(inactive)
    assert (execution.outcome, aws.places, next(pending, None)) == ("RolledBack", ("bittybot", "tao"), None)
