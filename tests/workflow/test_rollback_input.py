"""`{"rollback": true}`: back to the server that was live before the last cutover, once, and only to what users had."""

import json
from collections.abc import Callable

import pytest

from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import stopping_before
from tests.workflow.web import Web, sick, sick_as_production

ROLLBACK = {"rollback": True}


def test_a_rollback_goes_back_once_and_then_reports_that_nothing_is_to_be_done(aws: Aws) -> None:
    cutover = aws.execute({})
    assert aws.record.rollback_to.server == "bittybot"
    rollback = aws.execute(ROLLBACK)
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    last = aws.record.last_cutover
    assert last is not None
    assert (last["from"], last["to"], last["execution"], last["rollback"]) == ("tao", "bittybot", rollback.arn, True)
    assert aws.record.rollback_to.server == "bittybot"
    assert cutover.arn not in aws.record.rollback_to.why
    for _ in range(2):
        again = aws.execute(ROLLBACK)
        assert (again.outcome, aws.places) == ("ALREADY_LIVE", ("bittybot", "tao"))


def test_a_dry_run_of_a_rollback_plans_and_changes_nothing(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.execute({})
    before, changes = aws.record, len(ec2_calls.changes)
    execution = aws.execute({**ROLLBACK, "dryRun": True})
    assert execution.outcome == "DRY_RUN"
    assert "a rollback was asked for, to bittybot: it was live before" in execution.output["plan"]["reason"]
    assert len(ec2_calls.changes) == changes
    assert (aws.record.rollback_to, aws.record.last_cutover) == (before.rollback_to, before.last_cutover)


def test_a_pair_without_a_cutover_on_record_has_nothing_to_go_back_to(aws: Aws, ec2_calls: EC2Calls) -> None:
    for _ in range(2):  # the record then has the outcome of an execution, and still no cutover
        execution = aws.execute(ROLLBACK)
        assert execution.outcome == "InvalidRequest"
        cause = str(execution.cause)
        assert cause.startswith("There is no server to roll back to: no cutover is on record.")
        assert f"bittybot ({aws.servers['bittybot']}) is running and holds production." in cause
        assert f"tao ({aws.servers['tao']}) is running and holds staging. Nothing was changed." in cause
        assert '{"pair": "web", "serverName": "tao", "emergency": true}' in cause
    assert ec2_calls.changes == []
    assert aws.locks == []


@pytest.mark.parametrize("refused_at_the_end", [False, True])
def test_a_release_that_was_rejected_is_never_made_live_by_a_rollback(
    aws: Aws, web: Web, ec2_calls: EC2Calls, refused_at_the_end: bool
) -> None:
    aws.execute({})
    web.behaviour["bittybot"] = sick_as_production
    if refused_at_the_end:
        ec2_calls.fail("AssociateAddress", "OperationNotPermitted", nth=3, times=100)
    failed = aws.execute({})
    assert failed.outcome == ("RollbackFailed" if refused_at_the_end else "RolledBack")
    ec2_calls.faults.clear()
    web.serve(aws)
    before = aws.places
    rollback = aws.execute(ROLLBACK)
    assert rollback.outcome == "PreflightFailed"
    assert f"the cutover to bittybot ended {failed.outcome}: {failed.arn}" in str(rollback.cause)
    assert aws.places == before


def test_nothing_that_a_starter_can_choose_disarms_it(aws: Aws, web: Web) -> None:
    aws.execute({})
    web.behaviour["bittybot"] = sick
    assert aws.execute({}).outcome == "StagingUnhealthy"
    web.serve(aws)
    for value in ({"server": "tao"}, {"serverName": "tao"}, {"dryRun": True}, {"pair": "other"}, "text"):
        aws.execute(value)
    name = f"rollback-{'x' * 60}"
    arn = aws.sfn.start_execution(stateMachineArn=aws.state_machine, name=name, input='{"serverName": "tao"}')
    assert aws.wait(arn["executionArn"]).outcome == "ALREADY_LIVE"
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_rollback_whose_old_server_is_unhealthy_changes_nothing_and_can_be_tried_again(aws: Aws, web: Web) -> None:
    aws.execute({})
    web.behaviour["bittybot"] = sick
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("StagingUnhealthy", ("tao", "bittybot"))
    web.serve(aws)
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_stopped_dry_run_has_begun_nothing(aws: Aws) -> None:
    aws.execute({})
    with stopping_before("MeasureGap"), stopping_before("DryRun?"):
        arn = aws.start({"dryRun": True})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_server_that_was_replaced_is_not_what_users_were_served_by(aws: Aws, web: Web) -> None:
    aws.execute({})
    aws.servers["bittybot"] = aws.launch()
    aws.configure(port=web.port)
    refused = aws.execute(ROLLBACK)
    assert refused.outcome == "PreflightFailed"
    assert "when users were served by it, and is" in str(refused.cause)


def test_a_cutover_that_was_stopped_after_it_moved_production_is_what_a_rollback_goes_back_from(
    aws: Aws, stopped: Callable[[], str]
) -> None:
    dead = stopped()
    assert aws.places == ("tao", "bittybot")
    rollback = aws.execute(ROLLBACK)
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert "WaitForLastCall" in rollback.states
    assert aws.record.last_cutover is not None
    assert aws.record.last_cutover["execution"] == rollback.arn != dead


def test_after_the_repair_of_a_stopped_cutover_a_rollback_goes_back(aws: Aws, stopped: Callable[[], str]) -> None:
    dead = stopped()
    assert aws.repair(dead).outcome == "REPAIRED"
    record = aws.record
    assert record.interrupted is None
    assert record.last_cutover is not None
    assert (record.last_cutover["from"], record.last_cutover["to"]) == ("bittybot", "tao")
    assert record.last_cutover["execution"] == dead
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_cutover_that_was_stopped_before_it_moved_production_leaves_no_server_to_go_back_to(aws: Aws) -> None:
    aws.execute({})
    with stopping_before("ReassociateProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert aws.repair(arn).outcome == "REPAIRED"
    refused = aws.execute(ROLLBACK)
    assert refused.outcome == "PreflightFailed"
    assert f"the cutover to bittybot was interrupted: {arn}" in str(refused.cause)


def test_a_rollback_that_was_stopped_can_be_asked_for_again(aws: Aws) -> None:
    aws.execute({})
    with stopping_before("ReassociateProduction"):
        arn = aws.start(ROLLBACK)
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_repair_that_failed_leaves_what_the_next_execution_needs(
    aws: Aws, ec2_calls: EC2Calls, stopped: Callable[[], str]
) -> None:
    dead = stopped()
    ec2_calls.fail_from_now_on("DescribeAddresses", "UnauthorizedOperation")
    assert aws.repair(dead).outcome == "RepairFailed"
    ec2_calls.faults.clear()
    assert aws.locks == []
    assert aws.record.interrupted is not None
    assert aws.record.interrupted.execution == dead
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_an_item_of_an_older_version_is_a_lock_that_can_be_taken_over(aws: Aws) -> None:
    dead = aws.execute({"dryRun": True}).arn
    item = {"pair": "web", "execution": dead, "since": "2026-01-01T00:00:00Z", "server": "tao", "gap": "{}",
            "privateIps": json.dumps({})}  # fmt: skip
    aws.dynamodb.put_item(TableName=aws.table, Item={key: {"S": value} for key, value in item.items()})
    assert (aws.execute({}).outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert aws.record.rollback_to.server == "bittybot"


def test_no_plan_is_carried_out_with_a_record_that_has_changed_since(aws: Aws) -> None:
    """A deployment to the idle server between the plan and the lock: the execution plans again."""
    aws.execute({})
    changed: list[int] = []

    def deployed() -> None:
        if not changed:
            changed.append(1)
            aws.dynamodb.update_item(
                TableName=aws.table,
                Key={"pair": {"S": "web"}},
                UpdateExpression="SET rollbackTo = :none ADD revision :one",
                ExpressionAttributeValues={
                    ":none": {"S": json.dumps({"server": None, "why": "release 42 was deployed to bittybot"})},
                    ":one": {"N": "1"},
                },
            )

    with aws.just_before("dynamodb", "UpdateItem", deployed):
        execution = aws.execute(ROLLBACK)
    assert execution.outcome == "PreflightFailed"
    assert "There is no server to roll back to: release 42 was deployed to bittybot." in str(execution.cause)
    assert aws.places == ("tao", "bittybot")


def test_a_server_whose_cutover_failed_is_not_gone_back_to_after_a_person_has_left_it(
    aws: Aws, web: Web, ec2_calls: EC2Calls
) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.fail("AssociateAddress", "OperationNotPermitted", nth=3, times=100)
    assert aws.execute({}).outcome == "RollbackFailed"
    ec2_calls.faults.clear()
    assert aws.places == ("tao", "bittybot")
    assert aws.execute({"serverName": "bittybot"}).outcome == "CUT_OVER"
    web.serve(aws)
    refused = aws.execute(ROLLBACK)
    assert refused.outcome == "PreflightFailed"
    assert "a cutover to tao failed or was interrupted before" in str(refused.cause)
    # Once a cutover to it has succeeded, it is a server like any other.
    assert [aws.execute(value).outcome for value in ({}, {"serverName": "bittybot"}, ROLLBACK)] == ["CUT_OVER"] * 3
    assert aws.places == ("tao", "bittybot")


def test_a_server_whose_cutover_was_interrupted_unverified_is_not_gone_back_to(aws: Aws) -> None:
    with stopping_before("HealthCheckProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert aws.repair(arn).outcome == "REPAIRED"
    assert aws.execute({"serverName": "bittybot"}).outcome == "CUT_OVER"
    assert aws.execute(ROLLBACK).outcome == "PreflightFailed"
    assert aws.places == ("bittybot", "tao")


@pytest.mark.parametrize("state", ["Preflight", "MeasureGap", "DisassociateStaging"])
def test_an_execution_that_was_stopped_before_its_first_change_leaves_the_record_as_it_was(
    aws: Aws, state: str
) -> None:
    aws.execute({})
    with stopping_before(state):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert aws.repair(arn).outcome == "REPAIRED"
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_second_rollback_reports_even_if_the_other_server_is_gone(aws: Aws) -> None:
    aws.execute({})
    aws.ec2.terminate_instances(InstanceIds=[aws.servers["tao"]])
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", None))
    again = aws.execute(ROLLBACK)
    assert again.outcome == "ALREADY_LIVE"
    assert "Staging cannot go to tao." in again.output["warnings"][0]


def test_the_warnings_of_a_rollback_that_failed_are_in_its_notification_and_its_event(aws: Aws, web: Web) -> None:
    aws.execute({})
    aws.ec2.terminate_instances(InstanceIds=[aws.servers["tao"]])
    web.behaviour["bittybot"] = sick
    aws.forget_notices()
    assert aws.execute(ROLLBACK).outcome == "StagingUnhealthy"
    for told in (aws.notices[-1], aws.events[-1]["detail"]):
        assert "Staging cannot go to tao" in told["warnings"][0]
    assert "Staging cannot go to tao" in aws.messages[-1]["default"]


def test_a_second_failure_does_not_forget_the_first(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.fail("AssociateAddress", "OperationNotPermitted", nth=3, times=100)
    assert aws.execute({}).outcome == "RollbackFailed"
    ec2_calls.faults.clear()
    web.serve(aws)
    web.behaviour["bittybot"] = sick_as_production
    assert (aws.execute({"serverName": "bittybot"}).outcome, aws.places[0]) == ("RolledBack", "tao")
    web.serve(aws)
    assert (aws.execute({"serverName": "bittybot"}).outcome, aws.places[0]) == ("CUT_OVER", "bittybot")
    assert aws.execute(ROLLBACK).outcome == "PreflightFailed"


def test_a_rollback_that_is_refused_repairs_the_unfinished_cutover_that_it_took_over(aws: Aws) -> None:
    with stopping_before("ReassociateProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    refused = aws.execute(ROLLBACK)
    assert (refused.outcome, aws.places) == ("PreflightFailed", ("bittybot", "tao"))
    assert "Production was not touched. Staging was not on the idle server, and was put on tao." in str(refused.cause)
    assert "Nothing was changed" not in str(refused.cause)
    assert aws.record.interrupted is None


def test_a_refused_cutover_that_takes_over_an_unfinished_cutover_repairs_the_pair(aws: Aws, web: Web) -> None:
    with stopping_before("ReassociateProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    aws.configure(port=web.port, pair={"alarms": ["there is none"]})
    assert (aws.execute({}).outcome, aws.places) == ("PreflightFailed", ("bittybot", "tao"))


def test_a_dry_run_leaves_what_a_dead_execution_has_begun_to_the_repair(aws: Aws) -> None:
    with stopping_before("ReassociateProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    refused = aws.execute({"dryRun": True})
    assert refused.outcome == "CutoverInProgress"
    assert str(refused.cause).endswith("It has ended, and its pair is being repaired. Start again in a minute.")
    assert aws.repair(arn).outcome == "REPAIRED"
    assert aws.places == ("bittybot", "tao")


def test_an_interrupted_cutover_from_no_server_is_never_gone_back_to(aws: Aws) -> None:
    aws.disassociate(aws.production)
    with stopping_before("HealthCheckProduction"):
        arn = aws.start({"serverName": "tao"})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert aws.repair(arn).outcome == "REPAIRED"
    assert aws.execute({"serverName": "bittybot"}).outcome == "CUT_OVER"
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("PreflightFailed", ("bittybot", "tao"))


@pytest.mark.parametrize("state", ["Preflight", "DisassociateStaging"])
def test_with_production_on_no_server_a_stopped_execution_does_not_disarm_a_rollback(aws: Aws, state: str) -> None:
    aws.execute({})
    aws.disassociate(aws.production)
    with stopping_before(state):
        arn = aws.start({"serverName": "tao"})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    aws.repair(arn)
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_the_instance_that_an_interrupted_cutover_left_is_on_record(aws: Aws, web: Web) -> None:
    with stopping_before("HealthCheckProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert aws.repair(arn).outcome == "REPAIRED"
    assert aws.record.rollback_to.instance_id == aws.servers["bittybot"]


@pytest.mark.parametrize("revision", [{"S": "seven"}, {"N": "123456789012345678901234567890"}], ids=str)
def test_a_revision_that_a_person_wrote_does_not_keep_an_execution_from_the_lock(
    aws: Aws, revision: dict[str, str]
) -> None:
    aws.dynamodb.put_item(TableName=aws.table, Item={"pair": {"S": "web"}, "revision": revision})
    assert aws.execute({}).outcome == "CUT_OVER"
    assert (aws.execute(ROLLBACK).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
