"""An evaluation beside cutovers, rollbacks, repairs, approvals and other evaluations: it delays and changes nothing."""

import json
from collections.abc import Callable

import pytest

from tests.workflow.account import Aws, Execution
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.test_readiness import outcomes, readiness
from tests.workflow.web import Web, sick


def just_once(act: Callable[[], object]) -> Callable[[], None]:
    """What happens the first time, and nothing after that."""
    left = [act]

    def happen() -> None:
        if left:
            left.pop()()

    return happen


def meanwhile(aws: Aws, act: Callable[[], object]) -> Execution:
    """An evaluation; just before it writes its result for the first time, something else happens."""
    with aws.just_before("dynamodb", "UpdateItem", just_once(act), containing="SET readiness"):
        return aws.evaluate()


def test_while_a_cutover_holds_the_lock_the_last_result_stays(
    aws: Aws, web: Web, held: Callable[[str], str], ec2_calls: EC2Calls
) -> None:
    aws.evaluate()
    before = readiness(aws)
    cutover = held("production")
    ec2_calls.made.clear()
    evaluation = aws.evaluate()
    assert (evaluation.outcome, evaluation.states[-1]) == ("SKIPPED", "Skipped")
    assert (readiness(aws), ec2_calls.made) == (before, [])
    web.open_gates()
    assert aws.wait(cutover).outcome == "CUT_OVER"


def test_a_lock_whose_holder_was_stopped_is_left_to_the_next_cutover(aws: Aws, stopped: Callable[[], str]) -> None:
    arn = stopped()
    assert aws.evaluate().outcome == "SKIPPED"
    assert [lock["execution"]["S"] for lock in aws.locks] == [arn]
    aws.backdate(arn, hours=1)
    assert aws.execute({}).outcome == "ALREADY_LIVE"
    assert aws.evaluate().outcome == "READY"


@pytest.mark.usefixtures("approval")
def test_while_an_execution_waits_for_approval_the_last_result_stays(aws: Aws) -> None:
    aws.evaluate()
    before = readiness(aws)
    arn = aws.start({"release": "7"})
    aws.until(lambda: "approvalToken" in aws.item)
    assert (aws.evaluate().outcome, readiness(aws)) == ("SKIPPED", before)
    token, answer = aws.item["approvalToken"]["S"], json.dumps({"approvedBy": "ops"})
    aws.sfn.send_task_success(taskToken=token, output=answer)
    assert aws.wait(arn).outcome == "CUT_OVER"


def test_a_cutover_that_begins_meanwhile_is_neither_refused_nor_delayed(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    cutovers: list[str] = []
    evaluation = meanwhile(aws, lambda: cutovers.append(held("production")))
    assert (evaluation.outcome, evaluation.states.count("DescribeRecord")) == ("SKIPPED", 2)
    assert aws.record.readiness is None
    assert [lock["execution"]["S"] for lock in aws.locks] == cutovers
    web.open_gates()
    assert aws.wait(cutovers[0]).outcome == "CUT_OVER"
    assert "LockHeld?" not in aws.entered(cutovers[0])


@pytest.mark.parametrize("value", [{}, {"rollback": True}])
def test_an_evaluation_starts_over_after_an_execution_that_has_ended_meanwhile(aws: Aws, value: object) -> None:
    aws.put_record(rollback_to="tao")
    ended: list[Execution] = []
    evaluation = meanwhile(aws, lambda: ended.append(aws.execute(value)))
    assert (ended[0].outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert (evaluation.outcome, evaluation.states.count("Checks")) == ("READY", 2)
    assert readiness(aws)["ready"]


def test_an_evaluation_starts_over_after_a_repair(aws: Aws, stopped: Callable[[], str]) -> None:
    repairs: list[Execution] = []
    evaluation = meanwhile(aws, lambda: repairs.append(aws.repair(stopped())))
    assert repairs[0].outcome == "REPAIRED"
    assert (evaluation.outcome, evaluation.states.count("DescribeRecord")) == ("READY", 2)


def test_an_evaluation_gives_up_if_the_record_changes_each_time(aws: Aws) -> None:
    with aws.just_before("dynamodb", "UpdateItem", lambda: aws.execute({"dryRun": True}), containing="SET readiness"):
        evaluation = aws.evaluate()
    assert (evaluation.outcome, evaluation.states.count("RecordReadiness")) == ("SKIPPED", 3)


def test_two_evaluations_at_once_announce_a_change_once(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    other: list[Execution] = []
    evaluation = meanwhile(aws, lambda: other.append(aws.evaluate()))
    assert [other[0].outcome, evaluation.outcome] == ["NOT_READY", "NOT_READY"]
    assert readiness(aws)["execution"] == evaluation.arn
    assert outcomes(aws) == ["NOT_READY"]


def test_an_evaluation_changes_nothing_else_of_the_record_and_the_next_cutover_works(aws: Aws) -> None:
    aws.execute({})
    before = aws.item
    aws.evaluate()
    assert {key: value for key, value in aws.item.items() if key != "readiness"} == before
    back = aws.execute({"rollback": True})
    assert (back.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert "readiness" in aws.item
