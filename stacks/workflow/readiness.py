"""The evaluation: would a cutover of a pair work now? It runs the checks of a dry run with the cutover's role, so it
lacks what a cutover lacks. It takes no lock, so no cutover waits for it. Only a result that has changed is announced.
What comes to `RecordReadiness` has, once or more often, `reason`, `soon` and `warnings`."""

from aws_cdk import Duration, aws_stepfunctions as sfn
from aws_cdk.aws_iam import IRole
from aws_cdk.aws_stepfunctions_tasks import DynamoAttributeValue, DynamoReturnValues
from constructs import Construct

from stacks.workflow import failures
from stacks.workflow.calls import CALLS as OF_A_CUTOVER, COMMENTS as OF_CUTOVER_STATES, PLANNED
from stacks.workflow.cutover import SOUND
from stacks.workflow.ending import NOW
from stacks.workflow.expressions import EXECUTION, ME, bounded, condition, jsonata, sentence
from stacks.workflow.lock import FREE_AND_AS_PLANNED
from stacks.workflow.notifications import STARTED, publish, put_event
from stacks.workflow.retries import BEFORE_CHANGES, CONDITION_FAILED
from stacks.workflow.state_machine import standard_state_machine
from stacks.workflow.tasks import Resources, Tasks, when

# Longer than all states take with all their retries: `tests/stacks/test_deadline.py` adds up the graph.
TIMEOUT, MOST_TRIES = Duration.hours(72), 3
# An evaluation of drift waits for the execution that holds the lock, so many times, so many seconds.
MOST_WAITS, SECONDS_APART = 12, 300
DETAIL_TYPE = "Elastic IP Cutover Readiness Changed"
ASKED = "$states.context.Execution.Input.pair"
PAIR = bounded(f'($exists({ASKED}) and {ASKED} != "" ? $string({ASKED}) : "-")', 64)
DRIFT = "($drift := $states.context.Execution.Input.drift; $type($drift) = 'string' ? [$drift] : [])"
# The text may be anything, because a person may write into the table. In a sentence, quotes are escaped.
WAS_READY = """$not($contains($before, '"ready":false'))"""
SINCE = r"""$match($before, /"since":"(\d[\dT:.Z+-]{15,35})"/)[0].groups[0]"""
RESULT = f"""(
    $reasons := [$states.input.reason, $states.input.soon]; $ready := $count($reasons) = 0;
    $warned := $append($plan.warnings, $states.input.warnings);
    $warnings := $filter($warned, function($each) {{ $not($each in $reasons) }});
    $text := function($each) {{ $substring($replace($each, " Nothing was changed.", ""), 0, 1000) }};
    $texts := function($all, $last) {{ [$map($append($distinct($all)[[0..11]], $last), $text)] }};
    $since := {SINCE}; $drift := {DRIFT};
    $string({{
        "ready": $ready, "since": $ready = {WAS_READY} and $exists($since) ? $since : {NOW}, "checkedAt": {NOW},
        "reasons": $texts($reasons, $ready ? [] : $drift), "warnings": $texts($warnings, $ready ? $drift : []),
        "execution": {ME}
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
    "Pair " & $plan.pair & " is " & ($result.ready ? "ready." : "not ready: a cutover would fail, now or soon.")
    & $join($map($append($result.reasons, $result.warnings), function($each) {{ "\\n- " & $each }}))
    & "\\n\\nExecution: " & {ME}
"""
BEFORE = {
    "plan": {"pair": jsonata(PAIR)},
    "revision": jsonata('($number := $states.result.Item.revision.N; $exists($number) ? $number : "0")'),
    "before": jsonata('($text := $states.result.Item.readiness.S; $exists($text) ? $text : "-")'),
    "locked": "{% $exists($states.result.Item.execution) %}",
}
RECORDED = {
    "result": "{% $parse($states.result.Attributes.readiness.S) %}",
    "announced": jsonata('($text := $states.result.Attributes.announced.S; $exists($text) ? $text : "READY")'),
}
# A cutover could not read or write its record either.
REASONS = {"reasons": [jsonata(sentence(failures.OF_STATE))], "warnings": []}
NOT_RECORDED = {
    "plan": {"pair": jsonata(PAIR)},
    "result": {"ready": False, "since": jsonata(NOW), "checkedAt": jsonata(NOW), **REASONS, "execution": EXECUTION},
    "announced": "-",
}
AGAIN = {"tries": "{% $exists($tries) ? $tries + 1 : 1 %}"}
WAITED = {"waits": "{% $exists($waits) ? $waits + 1 : 1 %}"}
OF_DRIFT = f"$locked and $count({DRIFT}) > 0 and $not($exists($waits) and $waits >= {MOST_WAITS})"
SKIPPED = '{"pair": $plan.pair, "outcome": "SKIPPED"}'
UNFIT = '{"reason": ($plan.decision = "REFUSED" ? "" : "Staging is not on the idle server: ") & $plan.reason}'
CAUGHT = jsonata(f'{{"reason": {failures.REFUSED_CAUSE}}}')
CHANGED = f"{OUTCOME} != $announced or ($result.ready and $count({DRIFT}) > 0)"
REQUEST = {"pair": jsonata(PAIR), "dryRun": True}
COMMENTS = OF_CUTOVER_STATES | {
    "DescribeRecord": "What was the last result?",
    "RecordReadiness": "Writes the result, unless the item has changed meanwhile.",
    "Notify": "Publishes that the result has changed.",
    "RecordAnnounced": "Writes what was announced. If it was not, the next evaluation announces it.",
}
CALLS = OF_A_CUTOVER | {"DescribeAddresses": ({"request": REQUEST, "keepLive": False}, PLANNED)}


class Readiness(Construct):
    """Evaluates a pair, by `{"pair": "web"}`; `drift` beside it is a sentence about what someone else has changed."""

    def __init__(self, scope: Construct, construct_id: str, resources: Resources, *, role: IRole) -> None:
        super().__init__(scope, construct_id)
        tasks = Tasks(self, resources, CALLS, COMMENTS)
        describe_record = tasks.get_item("DescribeRecord", BEFORE, pair=PAIR)
        describe_addresses = tasks.call("DescribeAddresses", resources.functions.describe_addresses, BEFORE_CHANGES)
        comment = "What would fail now, and what will soon? A branch that fails does not end the others."
        checks = sfn.Parallel.jsonata(self, "Checks", comment=comment)
        for branch in tasks.preflight():
            for state in sfn.State.find_reachable_states(branch.start_state):
                if isinstance(state, sfn.TaskStateBase):
                    end = sfn.Pass.jsonata(self, f"{state.state_id}Failed", comment="Ends the branch with its reason.")
                    state.add_catch(end, outputs=CAUGHT)
            checks.branch(branch)
        record = tasks.update_item(
            "RecordReadiness",
            "SET readiness = :after",
            {**VALUES, ":revision": DynamoAttributeValue.number_from_string("{% $revision %}")},
            condition=UNCHANGED,
            pair=PAIR,
            return_values=DynamoReturnValues.ALL_NEW,
            assign=RECORDED,
        )
        of_outcome, there = {":outcome": jsonata(OUTCOME)}, "attribute_exists(pair)"
        told = tasks.update_item("RecordAnnounced", "SET announced = :outcome", of_outcome, condition=there, pair=PAIR)
        notify = publish(tasks, "Notify", outcome=OUTCOME, text=TEXT, detail=DETAIL)
        event = put_event(tasks, "PutEvent", DETAIL_TYPE, DETAIL)
        ready, not_ready = (
            sfn.Succeed.jsonata(self, state, comment="The output has the result.", outputs=jsonata(DETAIL))
            for state in ("Ready", "NotReady")
        )
        comment = "A cutover is at work. The last result stays."
        skipped = sfn.Succeed.jsonata(self, "Skipped", comment=comment, outputs=jsonata(SKIPPED))
        name, comment = "EvaluationFailed", "There is no result. The last one stays."
        failed = sfn.Fail.jsonata(self, name, comment=comment, error=name, cause="{% $cause %}")
        comment, seconds = "Waits until the cutover is over.", sfn.WaitTime.duration(Duration.seconds(SECONDS_APART))
        wait = sfn.Wait.jsonata(self, "WaitForHolder", comment=comment, time=seconds, assign=WAITED)

        drift = when(OF_DRIFT, wait, "locked, and someone has moved an address")
        often = f"$locked or ($exists($tries) and $tries >= {MOST_TRIES})"
        locked = when(often, skipped, f"locked, or begun {MOST_TRIES} times")
        begin = tasks.choice("Begin?", "", drift, locked, otherwise=describe_addresses)
        wait.next(describe_record)
        unfit = condition(f'$plan.decision = "REFUSED" or $not({SOUND})')
        decision = sfn.Choice.jsonata(self, "Decision?").otherwise(checks)
        decision.when(unfit, record, comment="no cutover could begin", outputs=jsonata(UNFIT))
        describe_addresses.add_catch(failed, errors=["InvalidRequest"], assign=failures.FIRST)
        describe_addresses.add_catch(record, outputs=CAUGHT).next(decision)
        checks.add_catch(failed, assign=failures.FIRST).next(record)
        outcome = tasks.choice("Outcome?", "", when("$result.ready", ready, "ready"), otherwise=not_ready)
        changed = tasks.choice("Changed?", "", when(CHANGED, event, "another result, or drift"), otherwise=outcome)
        describe_record.add_catch(changed, assign=NOT_RECORDED).next(begin)
        record.add_catch(describe_record, errors=[CONDITION_FAILED], assign=AGAIN)
        record.add_catch(changed, assign=NOT_RECORDED).next(changed)
        event.add_catch(notify).next(notify)
        notify.add_catch(outcome).next(told)
        told.add_catch(outcome).next(outcome)

        about = 'Would a cutover of a pair work now? Input: {"pair": "web"}. It changes no address.'
        name, start = resources.names.readiness, describe_record
        self.state_machine = standard_state_machine(self, name, about, start=start, timeout=TIMEOUT, role=role)
