"""The main task: which server holds which address after an execution, and what the outcome says."""

import pytest

from tests.workflow.account import ACQUIRES, RELEASES, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick


def test_production_is_moved_to_the_idle_server_by_one_call_and_staging_by_two(aws: Aws, ec2_calls: EC2Calls) -> None:
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")
    assert ec2_calls.changes == ["DisassociateAddress", "AssociateAddress", "AssociateAddress"]
    assert aws.locks == []


def test_the_outcome_reports_both_addresses_as_they_stand_now_and_as_they_stood_before(aws: Aws) -> None:
    before = {name: aws.described(name) for name in ("production", "staging")}
    output = aws.execute({}).output
    assert (output["outcome"], output["pair"]) == ("CUT_OVER", "web")
    assert {name: output[name] for name in before} == {name: aws.described(name) for name in before}
    assert output["previous"] == before
    assert (output["production"]["server"], output["staging"]["server"]) == ("tao", "bittybot")


@pytest.mark.parametrize("name", ["bittybot", "BITTYBOT"])
def test_a_server_that_is_live_already_stays_live_without_a_change(aws: Aws, ec2_calls: EC2Calls, name: str) -> None:
    execution = aws.execute({"serverName": name})
    assert execution.outcome == "ALREADY_LIVE"
    assert execution.output["production"] == execution.output["previous"]["production"]
    assert aws.places == ("bittybot", "tao")
    assert ec2_calls.made == ["DescribeAddresses"]


def test_a_dry_run_checks_everything_reports_the_plan_and_changes_nothing(aws: Aws, ec2_calls: EC2Calls) -> None:
    execution = aws.execute({"dryRun": True})
    assert execution.outcome == "DRY_RUN"
    assert [step.split()[0] for step in execution.output["plan"]["steps"]] == ["disassociate", "associate", "associate"]
    assert "HealthCheckStaging" in execution.states
    assert ec2_calls.changes == []
    assert "AssociateAddress (dry run)" in ec2_calls.made
    assert "DisassociateAddress (dry run)" in ec2_calls.made
    assert aws.locks == []


def test_a_dry_run_of_an_unhealthy_server_fails_as_the_cutover_would(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    assert aws.execute({"dryRun": True}).outcome == "StagingUnhealthy"


def test_staging_on_no_server_is_put_right_without_moving_production(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "bittybot"})
    assert execution.outcome == "REPAIRED"
    assert execution.output["previous"]["staging"]["server"] is None
    assert aws.places == ("bittybot", "tao")
    assert ec2_calls.changes == ["AssociateAddress"]
    assert aws.locks == []


def test_with_staging_on_no_server_the_idle_server_gets_staging_passes_its_check_and_becomes_live(aws: Aws) -> None:
    aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "CUT_OVER"
    assert execution.states.index("RepairStaging") < execution.states.index("HealthCheckStaging")
    assert aws.places == ("tao", "bittybot")


def test_a_dry_run_with_staging_on_no_server_repairs_nothing(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "tao", "dryRun": True})
    assert execution.outcome == "DRY_RUN"
    assert len(execution.output["plan"]["steps"]) == 4
    assert execution.output["plan"]["checked"] is False
    assert ec2_calls.changes == []
    assert aws.places == ("bittybot", None)


def test_a_lock_that_cannot_be_released_does_not_change_the_outcome_and_is_taken_over_later(aws: Aws) -> None:
    with aws.failing("dynamodb", "UpdateItem", containing=RELEASES):
        assert aws.execute({}).outcome == "CUT_OVER"
    assert len(aws.locks) == 1
    assert aws.execute({}).outcome == "CUT_OVER"
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []


def test_a_lock_that_cannot_be_acquired_leaves_everything_as_it_is(aws: Aws) -> None:
    with aws.failing("dynamodb", "UpdateItem", containing=ACQUIRES):
        execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "DynamoDB" in str(execution.cause)
    assert aws.places == ("bittybot", "tao")
