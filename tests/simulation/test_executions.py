"""Executions and their functions: what goes on when an execution is stopped, times out or loses an answer."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.simulation.executions import Execution, Executions
from tests.simulation.fates import Call, Fate
from tests.simulation.functions import Functions
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Scheduler
from tests.simulation.seams import clock
from tests.simulation.seams.present import present, running
from tests.simulation.seams.threads import Thread
from tests.simulation.states import Machine
from tests.simulation.synthesized import ConfiguredFunction
from tests.simulation.task_states import WorkflowCalls
from tests.simulation.world.errors import AwsError

INVOKE = "arn:aws:states:::lambda:invoke"
WAITS = "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken"
RETRY = {"ErrorEquals": ["Lambda.SdkClientException", "States.Timeout"], "MaxAttempts": 2}
FUNCTION = {"Type": "Task", "Resource": INVOKE, "TimeoutSeconds": 30, "Output": "{% $states.result.Payload %}",
            "Arguments": {"FunctionName": "work", "Payload": {"seconds": "{% $states.input.seconds %}"}}}  # fmt: skip
AND_ON = FUNCTION | {"Output": "{% $states.input %}"}
ENDS = {"End": True}


class Account:
    """A state machine, and a function `work`, which takes as many seconds as its event says, and then makes a call."""

    def __init__(self, states: Mapping[str, Any], *, forced: Mapping[str, str] | None = None) -> None:
        self.scheduler = scheduler = Scheduler(Schedule(0, only=frozenset(), forced=forced or {}))
        self.web: Any = None
        self.began: list[float] = []
        self.effects: list[tuple[float, str]] = []
        self.requests: list[Call] = []
        self.of_threads = 0
        configured = {"work": ConfiguredFunction("work", 12, {})}
        functions = Functions(scheduler, configured, {}, handler=lambda _: self._work)
        machine = {"StartAt": next(iter(states)), "QueryLanguage": "JSONata", "TimeoutSeconds": 5000, "States": states}
        calls = WorkflowCalls(scheduler, functions, self.answer)
        self.executions = Executions(scheduler, {"machine": Machine(machine)}, calls)

    def _work(self, event: Any, _context: object) -> Any:
        scheduler = present().scheduler
        self.began.append(scheduler.now - START)
        Thread(target=self._beside).start()
        clock.sleep(event["seconds"])
        group = scheduler.current.group
        call = Call(group.path, "ec2", "AssociateAddress", group.number("ec2 AssociateAddress"), "function", 5.0)
        scheduler.call(call, self.answer)
        return {"done": event["seconds"]}

    def _beside(self) -> None:
        clock.sleep(10)
        self.of_threads += 1

    def answer(self, call: Call, _fate: Fate) -> Any:
        self.requests.append(call)
        self.effects.append((self.scheduler.now - START, call.path))
        return {}

    def start(self, value: Any = None, name: str = "run") -> Execution:
        return self.executions.start("machine", value or {"seconds": 2}, name)

    def run(self, seconds: float = 10_000) -> None:
        self.scheduler.run(until=START + seconds)


@pytest.fixture
def account() -> Any:
    """Makes the account of a test, in which it then is."""
    with ExitStack() as block:

        def make(states: Mapping[str, Any], **options: Any) -> Account:
            made = Account(states, **options)
            block.enter_context(running(made))
            return made

        yield make


Make = Callable[..., Account]


def test_an_execution_has_the_answer_of_its_function(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    execution = aws.start()
    aws.run()

    assert (execution.status, execution.output) == ("SUCCEEDED", {"done": 2})


def test_a_thread_of_a_function_does_nothing_after_the_function_has_returned(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    aws.start({"seconds": 8})
    aws.run()
    after_short = aws.of_threads
    aws.start({"seconds": 11}, "longer")
    aws.run(20_000)

    assert (after_short, aws.of_threads) == (0, 1)


def test_a_mistake_in_the_model_ends_the_run(account: Make) -> None:
    unknown = FUNCTION | {"Arguments": {"FunctionName": "unknown", "Payload": {}}}
    aws = account({"Work": unknown | ENDS})
    aws.start()

    with pytest.raises(KeyError, match="unknown"):
        aws.run()


def test_a_function_in_flight_goes_on_when_its_execution_is_stopped(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    execution = aws.start({"seconds": 3})
    aws.scheduler.at(1, lambda: aws.executions.stop(execution.arn))
    aws.run()

    assert (execution.status, execution.ended) == ("ABORTED", START + 1)
    assert [round(at) for at, _ in aws.effects] == [3]


def test_a_stopped_execution_calls_nothing_more(account: Make) -> None:
    aws = account({"Work": FUNCTION | {"Next": "Again"}, "Again": FUNCTION | ENDS})
    execution = aws.start({"seconds": 3})
    aws.scheduler.at(1, lambda: aws.executions.stop(execution.arn))
    aws.run()

    assert execution.states == ["Work"]
    assert len(aws.began) == 1


def test_a_state_gives_up_while_its_function_runs_on(account: Make) -> None:
    aws = account({"Work": FUNCTION | {"TimeoutSeconds": 2, "Retry": [RETRY | {"MaxAttempts": 0}]} | ENDS})
    execution = aws.start({"seconds": 5})
    aws.run()

    assert (execution.error, execution.ended) == ("States.Timeout", START + 2)
    assert [round(at) for at, _ in aws.effects] == [5]


def test_a_function_is_killed_at_its_timeout_before_its_state_gives_up(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    execution = aws.start({"seconds": 20})
    aws.run()

    assert execution.error == "Sandbox.Timedout"
    assert execution.ended == pytest.approx(START + 12, abs=0.1)
    assert not aws.effects


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttled", "Lambda.TooManyRequestsException"),
        ("failed", "Lambda.ServiceException"),
        ("inactive", "Lambda.ResourceNotReadyException"),
        ("invocation lost", "Lambda.SdkClientException"),
        ("invocation never answered", "States.Timeout"),
    ],
)
def test_lambda_names_its_errors_as_step_functions_does(account: Make, kind: str, error: str) -> None:
    aws = account({"Work": FUNCTION | ENDS}, forced={"run/Work.1/lambda Invoke.1": kind})
    execution = aws.start()
    aws.run()

    assert execution.error == error


def test_a_lost_function_runs_beside_the_one_that_is_called_again(account: Make) -> None:
    aws = account(
        {"Work": FUNCTION | {"Retry": [RETRY]} | ENDS}, forced={"run/Work.1/lambda Invoke.1": "invocation lost"}
    )
    execution = aws.start({"seconds": 8})
    aws.run()

    assert execution.status == "SUCCEEDED"
    assert {path for _, path in aws.effects} == {"run/Work.1", "run/Work.2"}


@pytest.mark.parametrize("kind", ["dies before", "dies after"])
def test_a_function_that_dies_fails_its_state(account: Make, kind: str) -> None:
    aws = account({"Work": FUNCTION | ENDS}, forced={"run/Work.1/ec2 AssociateAddress.1": kind})
    execution = aws.start()
    aws.run()

    assert execution.error == "Runtime.ExitError"
    assert len(aws.effects) == (kind == "dies after")
    assert "signal: killed" in json.loads(execution.cause or "")["errorMessage"]


def test_a_redriven_execution_goes_on_at_the_state_that_failed(account: Make) -> None:
    last = {"Type": "Succeed", "Output": "{% $states.context.Execution.RedriveCount %}"}
    aws = account(
        {
            "First": AND_ON | {"Next": "Second"},
            "Second": FUNCTION | {"Next": "Last"},
            "Last": last,
        },
        forced={"run/Second.1/ec2 AssociateAddress.1": "dies before"},
    )
    execution = aws.start()
    aws.run()
    failed = execution.status
    aws.executions.redrive(execution.arn)
    aws.run()

    assert failed == "FAILED"
    assert (execution.status, execution.output) == ("SUCCEEDED", 1)
    assert execution.states == ["First", "Second", "Second", "Last"]


def test_only_an_execution_that_was_interrupted_can_be_redriven(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    execution = aws.start()
    aws.run()

    with pytest.raises(AwsError, match="ExecutionNotRedrivable"):
        aws.executions.redrive(execution.arn)


def test_the_first_branch_that_fails_ends_the_others_but_not_their_functions(account: Make) -> None:
    fails = {"Type": "Fail", "Error": "Broken", "Cause": "a test says so"}
    soon = {"Type": "Wait", "Seconds": 1, "Next": "Fails"}
    branches = [
        {"StartAt": "Work", "States": {"Work": AND_ON | {"Next": "More"}, "More": FUNCTION | ENDS}},
        {"StartAt": "Soon", "States": {"Soon": soon, "Fails": fails}},
    ]
    aws = account({"Both": {"Type": "Parallel", "Branches": branches} | ENDS})
    execution = aws.start({"seconds": 3})
    aws.run()

    assert (execution.error, execution.ended) == ("Broken", START + 1)
    assert [round(at) for at, _ in aws.effects] == [3]


@pytest.fixture
def waiting(account: Make) -> Account:
    """An execution waits for the answer to a token, for 60 s."""
    arguments = {"Token": "{% $states.context.Task.Token %}"}
    aws = account({"Wait": {"Type": "Task", "Resource": WAITS, "TimeoutSeconds": 60, "Arguments": arguments} | ENDS})
    aws.start()
    return aws


def answer(aws: Account, action: str, **more: str) -> None:
    token = aws.requests[0].parameters["Token"]
    aws.executions.answer(action, {"taskToken": token, **more})


def test_a_task_that_waits_is_answered_by_its_token(waiting: Account) -> None:
    waiting.scheduler.at(20, lambda: answer(waiting, "SendTaskSuccess", output='{"by": "someone"}'))
    waiting.run()
    (execution,) = waiting.executions.all.values()

    assert (execution.output, execution.ended) == ({"by": "someone"}, START + 20)


def test_a_task_is_answered_once(waiting: Account) -> None:
    def twice() -> None:
        answer(waiting, "SendTaskSuccess", output='{"by": "someone"}')
        with pytest.raises(AwsError, match="TaskTimedOut"):
            answer(waiting, "SendTaskFailure", error="Rejected", cause="too late")

    waiting.scheduler.at(20, twice)
    waiting.run()
    (execution,) = waiting.executions.all.values()

    assert execution.output == {"by": "someone"}


def test_a_task_that_waits_fails_as_its_answer_says(waiting: Account) -> None:
    waiting.scheduler.at(20, lambda: answer(waiting, "SendTaskFailure", error="Rejected", cause="not today"))
    waiting.run()
    (execution,) = waiting.executions.all.values()

    assert (execution.error, execution.cause, execution.ended) == ("Rejected", "not today", START + 20)


def test_a_task_waits_for_its_answer_until_its_timeout(waiting: Account) -> None:
    waiting.run()
    (execution,) = waiting.executions.all.values()

    assert (execution.error, execution.ended) == ("States.Timeout", START + 60)
    with pytest.raises(AwsError, match="TaskTimedOut"):
        answer(waiting, "SendTaskSuccess", output="{}")


def test_a_task_of_a_stopped_execution_cannot_be_answered(waiting: Account) -> None:
    (execution,) = waiting.executions.all.values()
    waiting.scheduler.at(20, lambda: waiting.executions.stop(execution.arn))
    waiting.run()

    with pytest.raises(AwsError, match="TaskTimedOut"):
        answer(waiting, "SendTaskSuccess", output="{}")


def test_a_description_may_show_the_state_of_some_seconds_ago(account: Make) -> None:
    aws = account({"Work": FUNCTION | ENDS})
    execution = aws.start()
    aws.run(seconds=100)
    ended = execution.ended or 0

    def status(as_of: float) -> str:
        shown = aws.executions.answer("DescribeExecution", {"executionArn": execution.arn}, as_of=as_of)
        return str(shown["status"])

    assert (status(ended - 1), status(ended + 1)) == ("RUNNING", "SUCCEEDED")
    with pytest.raises(AwsError, match="ExecutionDoesNotExist"):
        status(START - 1)


def test_an_execution_that_takes_too_long_times_out(account: Make) -> None:
    aws = account({"Wait": {"Type": "Wait", "Seconds": 6000} | ENDS})
    execution = aws.start()
    aws.run()

    assert (execution.status, execution.ended) == ("TIMED_OUT", START + 5000)
