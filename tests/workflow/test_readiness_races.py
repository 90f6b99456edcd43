"""An evaluation beside repairs, rollbacks, approvals and takeovers, and with inputs of every kind; by a judge."""

import json
from collections.abc import Callable

import pytest

from tests.workflow.account import Aws
from tests.workflow.test_readiness import meanwhile, outcomes, readiness
from tests.workflow.web import Web, sick


def test_an_evaluation_starts_over_after_a_repair(aws: Aws, web: Web, stopped: Callable[[], str]) -> None:
    def act() -> None:
        arn = stopped()
        assert aws.repair(arn).outcome in ("REPAIRED", "ALREADY_LIVE"), "repair"

    evaluation = meanwhile(aws, act)
    assert evaluation.outcome in ("READY", "NOT_READY")
    assert evaluation.states.count("DescribeRecord") == 2


def test_an_evaluation_starts_over_after_a_rollback(aws: Aws) -> None:
    aws.execute({})
    backs = []
    evaluation = meanwhile(aws, lambda: backs.append(aws.execute({"rollback": True})))
    assert (backs[0].outcome, evaluation.outcome, evaluation.states.count("Checks")) == ("CUT_OVER", "READY", 2)
    assert aws.places == ("bittybot", "tao")


def test_while_an_execution_waits_for_approval_the_last_result_stays(
    aws: Aws, approval: Callable[..., None], web: Web
) -> None:
    aws.evaluate()
    before = readiness(aws)
    arn = aws.start({"release": "7"})
    aws.until(lambda: "approvalToken" in aws.item)
    evaluation = aws.evaluate()
    assert (evaluation.outcome, readiness(aws)) == ("SKIPPED", before)
    token = aws.item["approvalToken"]["S"]
    aws.sfn.send_task_success(taskToken=token, output=json.dumps({"approvedBy": "x"}))
    assert aws.wait(arn).outcome == "CUT_OVER"


def test_a_dead_lock_is_left_to_the_next_cutover(aws: Aws, web: Web, stopped: Callable[[], str]) -> None:
    arn = stopped()
    assert aws.evaluate().outcome == "SKIPPED"
    aws.backdate(arn, hours=1)
    assert aws.execute({}).outcome == "ALREADY_LIVE"
    assert aws.evaluate().outcome == "READY"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '"x"',
        "null",
        "7",
        "{}",
        '{"pair":null}',
        '{"pair":["web"]}',
        '{"pair":{"S":"web"}}',
        '{"pair":"WEB"}',
        '{"pair":"web "}',
        '{"pair":"-"}',
        '{"pair":"a\\"b\\\\{% $x %}"}',
    ],
)
def test_an_input_without_a_configured_pair_records_nothing(aws: Aws, text: str) -> None:
    evaluation = aws.wait(aws.start_text(text, aws.readiness_machine))
    assert evaluation.outcome == "EvaluationFailed"
    assert aws.item == {}


@pytest.mark.parametrize("drift", ["x" * 200_000, '"\\{% $x %} %}{%', "", " ", "\n\n", "é" * 1000, "\x00\x1b[2J"])
def test_any_text_as_drift_is_recorded_and_announced(aws: Aws, drift: str) -> None:
    evaluation = aws.evaluate(drift=drift)
    assert evaluation.outcome == "READY", evaluation.cause
    assert evaluation.output["warnings"] == [drift[:1000]]
    assert outcomes(aws) == ["READY"]


def test_other_keys_of_the_input_are_ignored(aws: Aws) -> None:
    assert (
        aws.evaluate(dryRun=False, serverName="nobody", release="7", rollback=True, emergency=True).outcome == "READY"
    )


def test_a_long_name_with_dots_is_announced(aws: Aws, web: Web) -> None:
    pairs = json.loads(aws.pairs_file.read_text())
    aws.pairs_file.write_text(json.dumps({"a.b-c_d." + "x" * 56: pairs["web"], "web": pairs["web"]}))
    web.behaviour["tao"] = sick
    evaluation = aws.evaluate(pair="a.b-c_d." + "x" * 56)
    assert evaluation.outcome == "NOT_READY", evaluation.cause
