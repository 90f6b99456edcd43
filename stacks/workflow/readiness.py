"""The evaluation: would a cutover of a pair work now? It runs the checks of a dry run, without the lock, so it neither
refuses nor delays a cutover. It has the role of the cutover: what a cutover may not do, an evaluation may not either.

Its result is in the pair's item, and is announced only if it has changed. The variables beside those of the cutover:

- `$before`: the text of the last result, or "-", and `$revision`: the record's revision; when this evaluation began
- `$locked`: whether an execution held the lock then, and `$tries`: how often this evaluation has begun
- `$reasons`, `$warnings`: why the pair is not ready, and what is to be known although it is, in words
- `$result`: what is in the pair's item now (`Record.readiness` in `lambdas/domain/record.py`)
"""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
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
TIMEOUT = Duration.hours(72)
DETAIL_TYPE = "Elastic IP Cutover Readiness Changed"
MOST_TRIES = 3
MOST_TEXTS, LONGEST_TEXT = 20, 1000
PAIR = bounded("$states.context.Execution.Input.pair", 64)
DRIFT = "($drift := $states.context.Execution.Input.drift; $type($drift) = 'string' ? [$drift] : [])"
# The last result may be any text: a person may write into the table. Quotes within its reasons are escaped.
WAS_READY = """$not($contains($before, '"ready":false'))"""
SINCE = r"""$match($before, /"since":"(\d[\dT:.Z+-]{15,35})"/)[0].groups[0]"""
RESULT = f"""(
    $ready := $count($reasons) = 0; $since := {SINCE}; $drift := {DRIFT};
    $text := function($each) {{ $substring($replace($each, " Nothing was changed.", ""), 0, {LONGEST_TEXT}) }};
    $texts := function($all) {{ [$map($distinct($all)[[0..{MOST_TEXTS - 1}]], $text)] }};
    $string({{
        "ready": $ready, "since": $ready = {WAS_READY} and $exists($since) ? $since : {NOW}, "checkedAt": {NOW},
        "reasons": $texts($append($reasons, $ready ? [] : $drift)),
        "warnings": $texts($append($warnings, $ready ? $drift : [])), "execution": {ME}
    }})
)"""
# A result that another evaluation has written meanwhile stays; this evaluation then starts over.
UNCHANGED = f"""
    {FREE_AND_AS_PLANNED}
    AND (attribute_not_exists(readiness) OR readiness IN (:before, :after) OR NOT attribute_type(readiness, :text))
"""
CHANGED = f"$result.ready != {WAS_READY} or ({WAS_READY} and $count({DRIFT}) > 0)"
OUTCOME = '($result.ready ? "READY" : "NOT_READY")'
DETAIL = f'$merge([{STARTED}, $result, {{"pair": $plan.pair, "outcome": {OUTCOME}}}])'
TEXT = f"""
    "Pair " & $plan.pair & ($result.ready ? " is ready for a cutover." : " is not ready: a cutover would fail now.")
    & $join($map($append($result.reasons, $result.warnings), function($each) {{ "\\n- " & $each }}))
    & "\\n\\nExecution: " & {ME}
"""
NOT_IN_PLACE = """
    $plan.staging.publicIp & ", the staging address, is not on the idle server " & $plan.idle.name & ": "
    & $plan.reason & '. Put it there: start a cutover with {"pair": "' & $plan.pair & '", "serverName": "'
    & $plan.production.server & '"}.'
"""
REASONS = {"reasons": jsonata("[$states.result.reason, $states.result.soon]")}
WARNINGS = """(
    $soon := [$states.result.soon]; $all := $append($plan.warnings, $states.result.warnings);
    [$filter($all, function($each) { $not($each in $soon) })]
)"""
CAUGHT = {"reasons": jsonata(f"[{REFUSED_CAUSE}]")}
# Where a branch of the checks ends that has found a reason.
FOUND = ("Unhealthy", "ServerUnfit", "StagingNotFreed", "AddressesNotMoved")


class Readiness(Construct):
    """The Standard state machine that evaluates one pair per execution, by the input `{"pair": "web"}`; with `drift`,
    a sentence about what someone else did, it announces that the pair was changed, too."""

    def __init__(self, scope: Construct, construct_id: str, resources: Resources, *, role: iam.IRole) -> None:
        super().__init__(scope, construct_id)
        names, function_tasks = resources.names, Tasks(self, resources.functions)
        key = texts({"pair": "{% $plan.pair %}"})
        of_the_table: dict[str, Any] = {"table": resources.lock_table, "task_timeout": SERVICE_TIMEOUT}
        describe_record = tasks.DynamoGetItem.jsonata(
            self,
            "DescribeRecord",
            comment="What was the last result, and is a cutover at work?",
            key=texts({"pair": jsonata(PAIR)}),
            consistent_read=True,
            assign={
                "plan": {"pair": jsonata(PAIR)},
                "revision": jsonata('($n := $states.result.Item.revision.N; $exists($n) ? $n : "0")'),
                "before": jsonata('($s := $states.result.Item.readiness.S; $exists($s) ? $s : "-")'),
                "locked": jsonata("$exists($states.result.Item.execution)"),
                "tries": jsonata("$exists($tries) ? $tries + 1 : 1"),
                "reasons": [],
                "warnings": [],
            },
            **of_the_table,
        )
        locked = sfn.Choice.jsonata(self, "Locked?", comment="Does an execution hold the lock?")
        describe_addresses = function_tasks.describe_addresses(
            "Describes both addresses and both servers, and plans a cutover.",
            request={"pair": "{% $plan.pair %}", "dryRun": True},
            retry=retry_before_changes,
            keep_live=False,
            assign={"warnings": "{% $states.result.Payload.warnings %}"},
        )
        decision = sfn.Choice.jsonata(self, "Decision?", comment="Could a cutover begin?")
        checks = self._checks(function_tasks)
        record = tasks.DynamoUpdateItem.jsonata(
            self,
            "RecordReadiness",
            comment="Writes the result, unless a cutover or another evaluation has changed the pair's record.",
            key=key,
            update_expression="SET readiness = :after",
            condition_expression=one_line(UNCHANGED),
            expression_attribute_values={
                **texts({":me": EXECUTION, ":before": "{% $before %}", ":after": jsonata(RESULT)}),
                **texts({":number": "N", ":text": "S"}),
                ":revision": tasks.DynamoAttributeValue.number_from_string("{% $revision %}"),
            },
            return_values=tasks.DynamoReturnValues.ALL_NEW,
            assign={"result": "{% $parse($states.result.Attributes.readiness.S) %}"},
            **of_the_table,
        )
        start_over = sfn.Choice.jsonata(self, "StartOver?", comment="Has this evaluation begun three times?")
        skipped = sfn.Succeed.jsonata(
            self,
            "Skipped",
            comment="A cutover is at work, or the pair's record changes all the time. The last result stays.",
            outputs=jsonata('{"outcome": "SKIPPED", "pair": $plan.pair}'),
        )
        changed = sfn.Choice.jsonata(self, "Changed?", comment="Is the result another one than before?")
        notify = publish(
            self,
            "Notify",
            "Publishes that the pair is ready, or no longer.",
            name=names.cutover,
            topic=resources.topic,
            text=TEXT,
            detail=DETAIL,
            outcome=OUTCOME,
        )
        event = put_event(self, names.cutover, detail_type=DETAIL_TYPE, detail=DETAIL)
        outcome = sfn.Choice.jsonata(self, "Outcome?", comment="Is the pair ready?")
        ready, not_ready = (
            sfn.Succeed.jsonata(self, state, comment=comment, outputs=jsonata(DETAIL))
            for state, comment in (
                ("Ready", "A cutover would work now."),
                ("NotReady", "It would not."),
            )
        )
        failed = sfn.Fail.jsonata(
            self,
            "EvaluationFailed",
            comment="The pair could not be evaluated; the cause says why. The last result stays.",
            error="EvaluationFailed",
            cause=jsonata("$cause"),
        )

        # The order of the states.

        for task in (describe_record, record, notify, event):
            retry_service(task)
        record.add_catch(start_over, errors=[CONDITION_FAILED])
        describe_addresses.add_catch(
            failed, errors=["InvalidRequest"], assign={"cause": jsonata(sentence(FAILED_STATE))}
        )
        describe_addresses.add_catch(record, assign=CAUGHT)
        for state in (describe_record, checks, record):
            state.add_catch(failed, assign=cause)
        describe_record.next(locked)
        locked.when(condition("$locked"), skipped, comment="yes").otherwise(describe_addresses)
        describe_addresses.next(decision)
        refused, not_in_place = condition('$plan.decision = "REFUSED"'), condition(f"$not({SOUND})")
        decision.when(refused, record, comment="no", assign={"reasons": ["{% $plan.reason %}"]})
        elsewhere = {"reasons": [jsonata(NOT_IN_PLACE)]}
        decision.when(not_in_place, record, comment="staging is not on the idle server", assign=elsewhere)
        decision.otherwise(checks)
        checks.next(record)
        record.next(changed)
        start_over.when(condition(f"$tries < {MOST_TRIES}"), describe_record, comment="no").otherwise(skipped)
        changed.when(condition(CHANGED), notify, comment="yes").otherwise(outcome)
        notify.next(event)
        notify.add_catch(event, outputs="{% $states.input %}")
        event.next(outcome)
        event.add_catch(outcome, outputs="{% $states.input %}")
        outcome.when(condition("$result.ready"), ready, comment="yes").otherwise(not_ready)

        self.state_machine = standard_state_machine(
            self,
            name=names.readiness,
            comment=f'Would a cutover of {names.cutover} work now? Input: {{"pair": "web"}}. It changes nothing.',
            start=describe_record,
            timeout=TIMEOUT,
            role=role,
        )

    def _checks(self, function_tasks: Tasks) -> sfn.Parallel:
        """The checks of a cutover. Each ends with its own reason, so that all reasons are found."""
        branches = function_tasks.preflight()
        for name, branch in zip(FOUND, branches, strict=True):
            reason = sfn.Succeed.jsonata(self, name, comment="The branch has found why the pair is not ready.")
            for state in sfn.State.find_reachable_states(branch.start_state):
                if isinstance(state, sfn.TaskStateBase):
                    state.add_catch(reason, outputs=jsonata(f'{{"reason": {REFUSED_CAUSE}}}'))
        comment = "The checks that a cutover makes before its first change: what would fail, and what will soon?"
        assign = {**REASONS, "warnings": jsonata(WARNINGS)}
        return sfn.Parallel.jsonata(self, "Checks", comment=comment, assign=assign).branch(*branches)
