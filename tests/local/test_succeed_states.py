"""What a Succeed state in ministack gives its execution."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.emulator import Emulator
from tests.local.situation import until


@pytest.fixture(scope="module")
def sfn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Emulator(ec2_endpoint="http://127.0.0.1:1", folder=tmp_path_factory.mktemp("aws")) as emulator:
        emulator.wait_until_ready()
        yield emulator.client("stepfunctions")


def ended(sfn: Any, *, start: str, language: str = "JSONata", **states: Any) -> Any:
    """The execution of these states with the input 7, when it is over."""
    definition = json.dumps({"QueryLanguage": language, "StartAt": start, "States": states})
    arn = sfn.create_state_machine(
        name=f"machine-{abs(hash(definition))}", definition=definition, roleArn="arn:aws:iam::000000000000:role/any"
    )["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=arn, input="7")["executionArn"]
    until(lambda: sfn.describe_execution(executionArn=execution)["status"] != "RUNNING")
    return sfn.describe_execution(executionArn=execution)


@pytest.mark.parametrize(
    ("language", "state", "output"),
    [
        ("JSONata", {"Output": {"was": "{% $states.input + 1 %}"}}, {"was": 8}),
        ("JSONata", {}, 7),
        ("JSONPath", {"QueryLanguage": "JSONata", "Output": "{% $states.input + 1 %}"}, 8),
        ("JSONPath", {}, 7),
    ],
)
def test_the_output_of_an_execution(sfn: Any, language: str, state: dict[str, Any], output: object) -> None:
    execution = ended(sfn, start="Done", language=language, Done={"Type": "Succeed"} | state)
    assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", output)
    history = sfn.get_execution_history(executionArn=execution["executionArn"])["events"]
    assert [event["type"] for event in history[1:3]] == ["SucceedStateEntered", "SucceedStateExited"]


def test_the_output_of_a_branch(sfn: Any) -> None:
    states = {"Done": {"Type": "Succeed", "Output": "{% $states.input + 1 %}"}}
    branches = {"Type": "Parallel", "End": True, "Branches": [{"StartAt": "Done", "States": states}]}
    assert json.loads(ended(sfn, start="Both", Both=branches)["output"]) == [8]


def test_an_output_that_cannot_be_evaluated_fails_the_execution(sfn: Any) -> None:
    execution = ended(sfn, start="Done", Done={"Type": "Succeed", "Output": "{% $error('no') %}"})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.QueryEvaluationError")
