"""The evaluation: would a cutover of a pair work now? It runs the checks of a dry run with the cutover's role, so it
lacks what a cutover lacks. It takes no lock, so no cutover waits for it. Only a result that has changed is announced.

Beside a cutover's variables: `$before`, the text of the last result, or "-"; `$result`, `Record.readiness` in
`lambdas/domain/record.py`. What comes to `RecordReadiness` has, once or more often, `reason`, `soon` and `warnings`."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from aws_cdk.aws_iam import IRole
from constructs import Construct

from stacks.workflow.cutover import SOUND
from stacks.workflow.ending import ME, NOW, texts
from stacks.workflow.expressions import EXECUTION, FAILED_STATE, REFUSED_CAUSE, bounded, condition, jsonata, sentence
from stacks.workflow.lock import FREE_AND_AS_PLANNED, one_line
from stacks.workflow.notifications import STARTED, publish, put_event
from stacks.workflow.resources import Resources
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_before_changes, retry_service
from stacks.workflow.state_machine import standard_state_machine
from stacks.workflow.tasks import Tasks

# Longer than all states take with all their retries: `tests/stacks/test_deadline.py` adds up the graph.
TIMEOUT, MOST_TRIES = Duration.hours(72), 3
DETAIL_TYPE = "Elastic IP Cutover Readiness Changed"
PAIR = bounded("$states.context.Execution.Input.pair", 64)
DRIFT = "($drift := $states.context.Execution.Input.drift; $type($drift) = 'string' ? [$drift] : [])"
# The text may be anything, because a person may write into the table. In a sentence, quotes are escaped.
WAS_READY = """$not($contains($before, '"ready":false'))"""
SINCE = r"""$match($before, /"since":"(\d[\dT:.Z+-]{15,35})"/)[0].groups[0]"""
RESULT = f"""(
    $reasons := [$states.input.reason, $states.input.soon]; $ready := $count($reasons) = 0;
    $warned := $append($plan.warnings, $states.input.warnings);
    $warnings := $filter($warned, function($each) {{ $not($each in $reasons) }});
    $text := function($each) {{ $substring($replace($each, " Nothing was changed.", ""), 0, 1000) }};
    $texts := function($all) {{ [$map($distinct($all)[[0..19]], $text)] }};
    $since := {SINCE}; $drift := {DRIFT};
    $string({{
        "ready": $ready, "since": $ready = {WAS_READY} and $exists($since) ? $since : {NOW}, "checkedAt": {NOW},
        "reasons": $texts($append($reasons, $ready ? [] : $drift)),
        "warnings": $texts($append($warnings, $ready ? $drift : [])), "execution": {ME}
    }})
)"""
# If a cutover or another evaluation has changed the item, this evaluation starts over.
UNCHANGED = f"""
    {FREE_AND_AS_PLANNED}
    AND (attribute_not_exists(readiness) OR readiness IN (:before, :after) OR NOT attribute_type(readiness, :text))
"""
VALUES = {":me": EXECUTION, ":number": "N", ":text": "S", ":before": "{% $before %}", ":after": jsonata(RESULT)}
OUTCOME = '($result.ready ? "READY" : "NOT_READY")'
DETAIL = f'$merge([{STARTED}, $result, {{"pair": $plan.pair, "outcome": {OUTCOME}}}])'
TEXT = f"""
    "Pair " & $plan.pair & " is " & ($result.ready ? "ready for a cutover." : "not ready: a cutover would fail.")
    & $join($map($append($result.reasons, $result.warnings), function($each) {{ "\\n- " & $each }}))
    & "\\n\\nExecution: " & {ME}
"""
BEFORE = {
    "plan": {"pair": jsonata(PAIR)},
    "revision": jsonata('($number := $states.result.Item.revision.N; $exists($number) ? $number : "0")'),
    "before": jsonata('($text := $states.result.Item.readiness.S; $exists($text) ? $text : "-")'),
    "tries": jsonata(f"$exists($states.result.Item.execution) ? {MOST_TRIES} : $exists($tries) ? $tries + 1 : 0"),
}
SKIPPED = '{"pair": $plan.pair, "outcome": "SKIPPED"}'
UNFIT = '{"reason": ($plan.decision = "REFUSED" ? "" : "Staging is not on the idle server: ") & $plan.reason}'
CAUGHT = jsonata(f'{{"reason": {REFUSED_CAUSE}}}')
FAILURE = {"cause": jsonata(sentence(FAILED_STATE))}


class Readiness(Construct):
    """Evaluates a pair, by `{"pair": "web"}`; `drift` beside it is a sentence about what someone else has changed."""

    def __init__(self, scope: Construct, construct_id: str, resources: Resources, *, role: IRole) -> None:
        super().__init__(scope, construct_id)
        name, of_functions, of_pair = resources.names.cutover, Tasks(self, resources.functions), {"pair": jsonata(PAIR)}
        item: dict[str, Any] = {"table": resources.lock_table, "key": texts(of_pair), "task_timeout": SERVICE_TIMEOUT}
        describe_record = tasks.DynamoGetItem.jsonata(
            self, "DescribeRecord", comment="What was the last result?", consistent_read=True, assign=BEFORE, **item
        )
        comment, request = "Describes both addresses and both servers, and plans.", {**of_pair, "dryRun": True}
        describe_addresses = of_functions.describe_addresses(
            comment, request=request, retry=retry_before_changes, keep_live=False
        )
        comment = "What would fail now, and what will soon? A branch that fails does not end the others."
        checks = sfn.Parallel.jsonata(self, "Checks", comment=comment)
        for branch in of_functions.preflight():
            for state in sfn.State.find_reachable_states(branch.start_state):
                if isinstance(state, sfn.TaskStateBase):
                    end = sfn.Pass.jsonata(self, f"{state.state_id}Failed", comment="Ends the branch with its reason.")
                    state.add_catch(end, outputs=CAUGHT)
            checks.branch(branch)
        revision = tasks.DynamoAttributeValue.number_from_string("{% $revision %}")
        record = tasks.DynamoUpdateItem.jsonata(
            self, "RecordReadiness", comment="Writes the result, unless the item has changed meanwhile.",
            update_expression="SET readiness = :after", condition_expression=one_line(UNCHANGED),
            expression_attribute_values={**texts(VALUES), ":revision": revision},
            return_values=tasks.DynamoReturnValues.ALL_NEW,
            assign={"result": "{% $parse($states.result.Attributes.readiness.S) %}"}, **item,
        )  # fmt: skip
        told: dict[str, Any] = {"name": name, "topic": resources.topic, "text": TEXT, "detail": DETAIL}
        notify = publish(self, "Notify", "Publishes that the result has changed.", outcome=OUTCOME, **told)
        event = put_event(self, name, detail_type=DETAIL_TYPE, detail=DETAIL)
        choices = (sfn.Choice.jsonata(self, state) for state in ("Begin?", "Decision?", "Changed?", "Outcome?"))
        begin, decision, changed, outcome = choices
        options: dict[str, Any] = {"comment": "The output has the result.", "outputs": jsonata(DETAIL)}
        ready, not_ready = (sfn.Succeed.jsonata(self, state, **options) for state in ("Ready", "NotReady"))
        options = {"comment": "A cutover is at work. The last result stays.", "outputs": jsonata(SKIPPED)}
        skipped = sfn.Succeed.jsonata(self, "Skipped", **options)
        options = {"comment": "There is no result. The last one stays.", "cause": "{% $cause %}"}
        failed = sfn.Fail.jsonata(self, "EvaluationFailed", error="EvaluationFailed", **options)

        # The order of the states.

        record.add_catch(describe_record, errors=[CONDITION_FAILED])
        services = (describe_record, begin, failed), (record, changed, failed), (notify, event, event)
        for task, following, after_a_failure in (*services, (event, outcome, outcome)):
            retry_service(task)
            task.next(following)
            task.add_catch(after_a_failure, assign=FAILURE)
        begin.when(condition(f"$tries >= {MOST_TRIES}"), skipped, comment="locked, or begun 3 times")
        begin.otherwise(describe_addresses)
        describe_addresses.next(decision)
        describe_addresses.add_catch(failed, errors=["InvalidRequest"], assign=FAILURE)
        describe_addresses.add_catch(record, outputs=CAUGHT)
        unfit = condition(f'$plan.decision = "REFUSED" or $not({SOUND})')
        decision.when(unfit, record, comment="no cutover could begin", outputs=jsonata(UNFIT)).otherwise(checks)
        checks.next(record)
        checks.add_catch(failed, assign=FAILURE)
        differs = condition(f"$result.ready != {WAS_READY} or ({WAS_READY} and $count({DRIFT}) > 0)")
        changed.when(differs, notify, comment="another result, or drift").otherwise(outcome)
        outcome.when(condition("$result.ready"), ready, comment="ready").otherwise(not_ready)
        comment = f'Would a cutover by {name} work now? Input: {{"pair": "web"}}. It changes no address.'
        options = {"start": describe_record, "timeout": TIMEOUT, "role": role, "comment": comment}
        self.state_machine = standard_state_machine(self, name=resources.names.readiness, **options)
