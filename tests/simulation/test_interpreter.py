"""The interpreter does what the Amazon States Language says. What the workflows do on it, `tests/workflow` compares."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.simulation.expressions import QueryFailed, Scope, template
from tests.simulation.interpreter import ExecutionFailed, Interpreter, TaskCall, TaskFailed

EXECUTION = {
    "Id": "arn:aws:states:us-east-1:123456789012:execution:a-machine:an-execution", "Name": "an-execution",
    "StartTime": "2026-11-30T12:00:00.000Z",
}  # fmt: skip
NOON = 1796040000.25
ANY_ERROR = {"ErrorEquals": ["States.ALL"], "Next": "Caught"}
TOO_LARGE = "x" * 256 * 1024
States = Mapping[str, Mapping[str, Any]]


class Stopped(BaseException):
    pass


class Fake:
    """Surroundings whose tasks answer what they were given, in order; the last answer again and again."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.calls: list[TaskCall] = []
        self.pauses: list[float] = []
        self.story: list[str] = []
        self.time = NOON

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    def jitter(self, state: str, longest: float) -> float:
        return longest / 4

    def task(self, call: TaskCall) -> Any:
        self.calls.append(call)
        answers = self.answers.get(call.state, [{}])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def together(self, branches: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        return [run() for _, run in branches]

    def entered(self, state: str) -> None:
        self.story.append(f"> {state}")

    def exited(self, state: str, output: Any, assigned: Mapping[str, Any]) -> None:
        self.story.append(f"{state} >")

    def failed(self, state: str, error: str | None, cause: str | None) -> None:
        self.story.append(f"{state}: {error}")


def interpreter(fake: Fake, states: States) -> Interpreter:
    start = next(iter(states))
    return Interpreter({"QueryLanguage": "JSONata", "StartAt": start, "States": states}, fake)


def run(fake: Fake, value: Any = None, **states: Mapping[str, Any]) -> Any:
    return interpreter(fake, states).run({**EXECUTION, "Input": value})


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "End", **fields}


def show(**variables: str) -> dict[str, Any]:
    return {"Type": "Succeed", "Output": {name: f"{{% {text} %}}" for name, text in variables.items()}}


def failure(fake: Fake, value: Any = None, **states: Mapping[str, Any]) -> tuple[str | None, str | None]:
    with pytest.raises(ExecutionFailed) as failed:
        run(fake, value, **states)
    return failed.value.error, failed.value.cause


def test_the_output_of_a_state_is_the_input_of_the_next() -> None:
    fake = Fake(First=[{"answer": 42}])
    states = {"First": task(Output="{% $states.result.answer %}"), "End": show(input="$states.input")}
    assert run(fake, {"is": "dropped"}, **states) == {"input": 42}
    assert fake.story == ["> First", "First >", "> End", "End >"]


def test_without_an_output_a_task_hands_on_its_result_and_every_other_state_its_input() -> None:
    states = {"First": {"Type": "Pass", "Next": "Second"}, "Second": task(), "End": {"Type": "Succeed"}}
    fake = Fake(Second=[[1, None]])
    assert run(fake, {"an": "input"}, **states) == [1, None]


def test_assign_and_output_see_the_values_from_before() -> None:
    first = {"Type": "Pass", "Assign": {"name": "before"}, "Next": "Second"}
    assign = {"name": "after", "copy": "{% $name %}"}
    second = {"Type": "Pass", "Assign": assign, "Output": "{% $name %}", "Next": "End"}
    shown = show(input="$states.input", name="$name", copy="$copy")
    assert run(Fake(), First=first, Second=second, End=shown) == {"input": "before", "name": "after", "copy": "before"}


def test_a_task_gets_its_arguments_and_the_context() -> None:
    fake = Fake()
    arguments = {
        "constant": ["{ no expression }"], "input": "{% $states.input %}", "name": "{% $states.context.State.Name %}",
        "entered": "{% $states.context.State.EnteredTime %}", "of": "{% $states.context.StateMachine.Name %}",
        "redrives": "{% $states.context.Execution.RedriveCount %}", "id": "{% $states.context.Execution.Id %}",
        "now": "{% $now() %}", "millis": "{% $millis() %}",
    }  # fmt: skip
    run(fake, "given", First=task(Arguments=arguments, TimeoutSeconds="{% 60 * 2 %}"), End=show())
    (call,) = fake.calls
    assert call.arguments == {
        "constant": ["{ no expression }"], "input": "given", "name": "First", "entered": "2026-11-30T12:00:00.250Z",
        "of": "a-machine", "redrives": 0, "id": EXECUTION["Id"], "now": "2026-11-30T12:00:00.250Z",
        "millis": 1796040000250,
    }  # fmt: skip
    assert (call.state, call.retry_count, call.timeout_seconds, call.token) == ("First", 0, 120, None)


def test_a_retry_waits_longer_each_time_and_evaluates_the_arguments_again() -> None:
    fake = Fake(First=[TaskFailed("Busy")] * 5 + ["done"])
    retrier = {"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "BackoffRate": 3, "MaxDelaySeconds": 10, "MaxAttempts": 5}
    first = task(Arguments="{% $states.context.State.RetryCount %}", Retry=[retrier])
    assert run(fake, First=first, End=show(result="$states.input")) == {"result": "done"}
    assert fake.pauses == [1, 3, 9, 10, 10]
    assert [(call.arguments, call.retry_count) for call in fake.calls] == [(n, n) for n in range(6)]


def test_a_retrier_tries_three_times_more_a_second_apart_and_twice_as_long_unless_it_says_otherwise() -> None:
    fake = Fake(First=[TaskFailed("Busy")])
    assert failure(fake, First=task(Retry=[{"ErrorEquals": ["Busy"]}]), End=show()) == ("Busy", None)
    assert fake.pauses == [1, 2, 4]


def test_full_jitter_waits_as_long_as_the_surroundings_say() -> None:
    fake = Fake(First=[TaskFailed("Busy"), TaskFailed("Busy"), "done"])
    retrier = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 4, "JitterStrategy": "FULL"}
    run(fake, First=task(Retry=[retrier]), End=show())
    assert fake.pauses == [1, 2]


def test_each_retrier_counts_its_own_tries_and_the_first_that_names_the_error_decides() -> None:
    errors = ["Busy", "Slow", "Busy", "Slow", "Busy"]
    fake = Fake(First=[TaskFailed(error) for error in errors])
    retriers = [
        {"ErrorEquals": ["Busy"], "MaxAttempts": 2},
        {"ErrorEquals": ["Slow"], "MaxAttempts": 2, "IntervalSeconds": 5},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 9},
    ]
    assert failure(fake, First=task(Retry=retriers), End=show()) == ("Busy", None)
    assert fake.pauses == [1, 5, 2, 10]


def test_a_caught_error_is_the_output_and_can_be_assigned() -> None:
    fake = Fake(First=[TaskFailed("Refused", "a cause")])
    catchers = [
        {"ErrorEquals": ["Other"], "Next": "End"},
        {
            **ANY_ERROR,
            "Assign": {"cause": "{% $states.errorOutput.Cause %}", "has": "{% $exists($states.result) %}"},
        },
    ]
    states = {"First": task(Catch=catchers), "End": show()}
    shown = run(fake, **states, Caught=show(input="$states.input", cause="$cause", has="$has"))
    assert shown == {"input": {"Error": "Refused", "Cause": "a cause"}, "cause": "a cause", "has": False}
    assert fake.story == ["> First", "First: Refused", "First >", "> Caught", "Caught >"]


def test_a_catch_may_have_an_output_and_an_error_without_a_cause_has_an_empty_one() -> None:
    catcher = {**ANY_ERROR, "Output": {"input": "{% $states.input %}", "cause": "{% $states.errorOutput.Cause %}"}}
    caught = run(Fake(First=[TaskFailed("Refused")]), "given", First=task(Catch=[catcher]), Caught={"Type": "Succeed"})
    assert caught == {"input": "given", "cause": ""}


@pytest.mark.parametrize("error", ["States.Runtime", "States.DataLimitExceeded"])
def test_states_all_neither_retries_nor_catches_an_error_that_ends_an_execution(error: str) -> None:
    fake = Fake(First=[TaskFailed(error, "a cause")])
    handled = task(Retry=[{"ErrorEquals": ["States.ALL"]}], Catch=[ANY_ERROR])
    assert failure(fake, First=handled, Caught=show()) == (error, "a cause")
    assert fake.pauses == []


def test_an_error_that_is_not_caught_ends_the_execution() -> None:
    fake = Fake(First=[TaskFailed("Refused", "a cause")])
    handled = task(Catch=[{"ErrorEquals": ["Other"], "Next": "Caught"}])
    assert failure(fake, First=handled, Caught=show()) == ("Refused", "a cause")
    assert fake.story == ["> First", "First: Refused"]


MISSING = "{% $states.input.missing %}"
RULE = {"Condition": MISSING, "Next": "End"}


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "Output": MISSING, "Next": "End"},
        {"Type": "Pass", "Output": {"key": [MISSING]}, "Next": "End"},
        {"Type": "Pass", "Assign": {"name": MISSING}, "Next": "End"},
        {"Type": "Choice", "Choices": [RULE], "Default": "End"},
        {"Type": "Wait", "Seconds": MISSING, "Next": "End"},
        {"Type": "Wait", "Timestamp": MISSING, "Next": "End"},
        {"Type": "Fail", "Cause": MISSING},
        task(Arguments={"key": MISSING}),
        task(TimeoutSeconds=MISSING),
        task(Assign={"name": MISSING}),
        task(Output=MISSING),
    ],
    ids=str,
)
def test_an_undefined_result_fails_its_state_wherever_it_is(state: dict[str, Any]) -> None:
    error, cause = failure(Fake(), {}, First=state, End=show())
    assert error == "States.QueryEvaluationError"
    assert "'$states.input.missing' returned nothing (undefined)" in str(cause)


@pytest.mark.parametrize("field", ["Arguments", "Assign", "Output"])
@pytest.mark.parametrize("expression", ["$states.input.missing", "$error('a reason')", "function($x) { $x }"])
def test_an_expression_without_a_result_is_an_error_that_a_task_can_catch(field: str, expression: str) -> None:
    catcher = {**ANY_ERROR, "Output": ["{% $states.errorOutput.Error %}", "{% $exists($states.result) %}"]}
    first = task(**{field: {"key": f"{{% {expression} %}}"}}, Catch=[catcher])
    caught = run(Fake(), {}, First=first, End=show(), Caught={"Type": "Succeed"})
    assert caught == ["States.QueryEvaluationError", False]


def test_a_catch_that_cannot_be_evaluated_ends_the_execution() -> None:
    first = task(Catch=[{**ANY_ERROR, "Assign": {"name": MISSING}}])
    error, _ = failure(Fake(First=[TaskFailed("Refused")]), {}, First=first, Caught=show())
    assert error == "States.QueryEvaluationError"


def test_a_choice_takes_the_first_rule_whose_condition_holds_with_its_assign_and_output() -> None:
    rules = [
        {"Condition": "{% $states.input = 1 %}", "Next": "End"},
        {"Condition": "{% $states.input = 2 %}", "Next": "End", "Assign": {"name": "two"}, "Output": "second"},
        {"Condition": True, "Next": "End", "Output": "third"},
    ]
    states = {"First": {"Type": "Choice", "Choices": rules}, "End": show(input="$states.input", two="$exists($name)")}
    assert [run(Fake(), given, **states) for given in (1, 2, 3)] == [
        {"input": 1, "two": False}, {"input": "second", "two": True}, {"input": "third", "two": False},
    ]  # fmt: skip


def test_a_choice_of_which_no_rule_holds_takes_its_default() -> None:
    first = {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "First"}], "Default": "End"}
    assert run(Fake(), "given", First=first, End={"Type": "Succeed"}) == "given"


def test_a_condition_must_be_a_boolean() -> None:
    first = {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "End"}], "Default": "End"}
    assert failure(Fake(), First=first, End=show())[0] == "States.QueryEvaluationError"


def parallel(*branches: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    made = [{"StartAt": f"Branch{n}", "States": {f"Branch{n}": branch}} for n, branch in enumerate(branches)]
    return {"Type": "Parallel", "Branches": made, "Next": "End", **fields}


def test_a_parallel_state_has_the_results_of_its_branches_in_order() -> None:
    first = {"Type": "Pass", "Assign": {"name": "outer"}, "Next": "Second"}
    mine = {"Type": "Pass", "Assign": {"name": "inner", "more": 1}, "Output": "{% $name %}", "End": True}
    second = parallel(mine, task(Next=None), Assign={"all": "{% $states.result %}"}, Output="{% $states.result[1] %}")
    del second["Branches"][1]["States"]["Branch1"]["Next"]
    shown = show(input="$states.input", all="$all", name="$name", more="$exists($more)")
    result = run(Fake(Branch1=["done"]), First=first, Second=second, End=shown)
    assert result == {"input": "done", "all": ["outer", "done"], "name": "outer", "more": False}


def test_the_catch_of_a_parallel_state_sees_the_error_of_its_branch() -> None:
    first = parallel({"Type": "Fail", "Error": "Broken", "Cause": "{% 'a' & ' cause' %}"}, Catch=[ANY_ERROR])
    assert run(Fake(), First=first, Caught={"Type": "Succeed"}) == {"Error": "Broken", "Cause": "a cause"}


def test_a_parallel_state_that_is_retried_runs_all_its_branches_again() -> None:
    fake = Fake(Branch0=["done"], Branch1=[TaskFailed("Busy"), "done"])
    branch = {key: value for key, value in task(End=True).items() if key != "Next"}
    run(fake, First=parallel(branch, branch, Retry=[{"ErrorEquals": ["Busy"]}]), End=show())
    assert [call.state for call in fake.calls] == ["Branch0", "Branch1"] * 2


def test_a_wait_lasts_its_seconds_or_until_its_timestamp() -> None:
    fake = Fake()
    run(
        fake,
        {"until": "2026-11-30T12:00:10.250Z", "past": "2026-11-30T12:00:00Z"},
        First={"Type": "Wait", "Seconds": "{% 2 + 1 %}", "Next": "Second"},
        Second={"Type": "Wait", "Timestamp": "{% $states.input.until %}", "Next": "Third"},
        Third={"Type": "Wait", "Timestamp": "{% $states.input.past %}", "Next": "End"},
        End=show(),
    )
    assert fake.pauses == [3, 7, 0]


def test_a_fail_state_ends_the_execution_with_its_error_and_cause() -> None:
    fake = Fake()
    assert failure(fake, "why", First={"Type": "Fail", "Error": "Broken", "Cause": "{% $states.input %}"}) == (
        "Broken", "why",
    )  # fmt: skip
    assert fake.story == ["> First", "First: Broken"]


def test_a_task_that_waits_for_its_token_has_another_one_for_each_try() -> None:
    fake = Fake(First=[TaskFailed("Busy"), "approved"])
    resource, arguments = (
        "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "{% $states.context.Task.Token %}",
    )
    run(fake, First=task(Resource=resource, Arguments=arguments, Retry=[{"ErrorEquals": ["Busy"]}]), End=show())
    assert [call.token for call in fake.calls] == [call.arguments for call in fake.calls]
    assert len({call.token for call in fake.calls}) == 2


@pytest.mark.parametrize(
    "state",
    [task(), task(Arguments={"key": "{% $states.input %}"}), task(Output={"key": "{% $states.input %}"})],
    ids=str,
)
def test_what_is_larger_than_256_kib_ends_the_execution(state: dict[str, Any]) -> None:
    result, given = (TOO_LARGE, {}) if state == task() else ({}, TOO_LARGE)
    fake = Fake(First=[result])
    error, _ = failure(fake, given, First={**state, "Catch": [ANY_ERROR]}, Caught=show(), End=show())
    assert error == "States.DataLimitExceeded"


def test_a_redriven_execution_goes_on_at_the_state_that_failed() -> None:
    fake = Fake(Second=[TaskFailed("Refused"), "done"])
    redriven = interpreter(
        fake,
        {
            "First": {"Type": "Pass", "Assign": {"name": "kept"}, "Output": "given", "Next": "Second"},
            "Second": task(
                Arguments=["{% $states.input %}", "{% $name %}", "{% $states.context.Execution.RedriveCount %}"]
            ),
            "End": show(result="$states.input", name="$name"),
        },
    )
    with pytest.raises(ExecutionFailed):
        redriven.run({**EXECUTION, "Input": {}})
    assert redriven.resume({**EXECUTION, "Input": {}, "RedriveCount": 1}) == {"result": "done", "name": "kept"}
    assert [call.arguments for call in fake.calls] == [["given", "kept", 0], ["given", "kept", 1]]
    assert fake.story.count("> First") == 1


def test_a_stop_comes_through_and_the_execution_can_be_redriven() -> None:
    fake = Fake(First=[Stopped(), "done"])
    stopped = interpreter(
        fake, {"First": task(Catch=[ANY_ERROR]), "Caught": show(), "End": show(result="$states.input")}
    )
    with pytest.raises(Stopped):
        stopped.run({**EXECUTION, "Input": {}})
    assert stopped.resume({**EXECUTION, "Input": {}, "RedriveCount": 1}) == {"result": "done"}


def test_of_a_redriven_parallel_state_only_those_branches_run_that_did_not_succeed() -> None:
    fake = Fake(Branch0=["first"], Branch1=[TaskFailed("Refused"), "second"])
    branch = {key: value for key, value in task(End=True).items() if key != "Next"}
    redriven = interpreter(fake, {"First": parallel(branch, branch), "End": show(result="$states.input")})
    with pytest.raises(ExecutionFailed):
        redriven.run({**EXECUTION, "Input": {}})
    assert redriven.resume({**EXECUTION, "Input": {}, "RedriveCount": 1}) == {"result": ["first", "second"]}
    assert [call.state for call in fake.calls] == ["Branch0", "Branch1", "Branch1"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"Type": "Map", "Next": "End"}, "Map"),
        ({"Type": "Pass", "QueryLanguage": "JSONPath", "Next": "End"}, "only JSONata"),
        ({"Type": "Pass", "InputPath": "$", "Next": "End"}, "InputPath"),
        (task(HeartbeatSeconds=1), "HeartbeatSeconds"),
        (task(Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "End"}]), "States.TaskFailed"),
        ({"Type": "Pass", "Output": "{% $eval('1') %}", "Next": "End"}, "$eval"),
    ],
    ids=str,
)
def test_what_the_workflows_do_not_use_is_refused(state: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        interpreter(Fake(), {"First": state, "End": show()})


def value_of(text: str, **variables: Any) -> Any:
    return template(f"{{% {text} %}}")(Scope(variables, {"input": {"key": None}}, lambda: 0))


def test_parse_reads_json_and_fails_its_state_for_any_other_text() -> None:
    assert value_of('$parse("{\\"key\\": [null, 1]}").key[1]') == 1
    assert value_of('$parse("null")') is None
    with pytest.raises(QueryFailed):
        value_of('$parse("{")')


def test_null_is_a_value_and_no_variable_is_changed_by_an_expression() -> None:
    given = {"key": None, "list": [None, {"key": None}]}
    assert value_of("$given.key", given=given) is None
    assert value_of("$exists($given.key)", given=given) is True
    assert value_of("$merge([$given, {'more': $given.key}])", given=given) == {**given, "more": None}
    assert value_of("$append($given.list, 1)", given=given) == [None, {"key": None}, 1]
    assert given == {"key": None, "list": [None, {"key": None}]}
