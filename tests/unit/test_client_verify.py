"""Executions that `cutover.py verify` cannot check. `tests/workflow/test_verify.py` has those that it can."""

import pytest

from client.commands import main
from tests.unit.client_doubles import EXECUTION, MACHINE, Service, execution, refusal, session

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "ExecutionDoesNotExist",
            f"does not know the execution {EXECUTION}:x, and keeps one for 90 days after",
        ),
        ("InvalidArn", f"{EXECUTION}:x is not the ARN of an execution."),
        ("AccessDeniedException", "DescribeExecution is not permitted; docs/client.md lists the permissions."),
    ],
)
def test_an_execution_that_cannot_be_described_is_one_sentence(code: str, text: str, capsys: Capture) -> None:
    states = Service(describe_execution=refusal(code, operation="DescribeExecution"))
    assert main(["verify", "x", "--json"], session=session(stepfunctions=states)) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert text in err


def test_an_evaluation_is_not_an_execution_to_verify(capsys: Capture) -> None:
    states = Service(describe_execution=execution("x", stateMachineArn=f"{MACHINE}-readiness"))
    assert main(["verify", "x"], session=session(stepfunctions=states)) == 1
    assert f"{EXECUTION}:x is not an execution of {MACHINE} or of its repair.\n" in capsys.readouterr().err


def test_a_history_that_may_not_be_read_is_not_verified(capsys: Capture) -> None:
    denied = refusal("AccessDeniedException", operation="GetExecutionHistory")
    states = Service(describe_execution=execution("x"), get_execution_history=denied)
    assert main(["verify", "x"], session=session(stepfunctions=states)) == 1
    assert "GetExecutionHistory is not permitted" in capsys.readouterr().err


def test_an_execution_must_be_named(capsys: Capture) -> None:
    assert main(["verify"], session=session()) == 2
    assert "Missing argument 'EXECUTION'" in capsys.readouterr().err
