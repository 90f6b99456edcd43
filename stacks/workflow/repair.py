"""The repair: what an execution that was stopped or timed out left behind is put right, without moving production.

Step Functions runs no Catch in such an execution, so it can neither roll back nor release its lock. EventBridge reports
it (best effort: an event that is lost is made up for by the next execution, which takes over the dead lock), and
the workflow `eip-cutover-repair` waits until the last call that it made is over, sees to it that the staging address is
on the idle server, and releases the lock. A repair that is stopped is repaired in the same way.
Source: Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge".
"""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import Functions
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import EXECUTION, FAILED_STATE, INITIAL_VARIABLES, NONE, RESULT, jsonata, sentence
from stacks.workflow.lock import DeadHolder, lock_item
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_rollback, retry_service
from stacks.workflow.state_machine import standard_state_machine, status_change
from stacks.workflow.tasks import Tasks

NAME = "eip-cutover-repair"
# Longer than all states take with all their retries: `tests/stacks/test_deadline.py` adds the graph up.
TIMEOUT = Duration.hours(7)
DEAD = "$states.context.Execution.Input.execution"
LOCK = """
    $count($states.result.Items) > 0 ? {
        "pair": $states.result.Items[0].pair.S,
        "server": $states.result.Items[0].server.S,
        "privateIps": $exists($states.result.Items[0].privateIps) ? $parse($states.result.Items[0].privateIps.S) : {}
    } : null
"""
ENDED = f'"The execution " & {DEAD} & " was " & $lowercase($states.context.Execution.Input.status)'
NOT_REPAIRED = f'{ENDED} & ", and what it left could not be repaired: "'
LOOK = '" Production was not moved. See where both addresses are with: aws ec2 describe-addresses."'
SUCCESSES = {
    "REPAIRED": ("Repaired", "Staging is on the idle server, production where it was, the lock released.", RESULT),
    "NOTHING_TO_REPAIR": (
        "NothingToRepair",
        "The execution held no lock when it ended: it had changed nothing, or had finished.",
        '{"outcome": $outcome, "cause": $cause}',
    ),
}
FAILURES = {"RepairFailed": "A person must look: the cause says what was found, and why nothing more was changed."}


class Repair(Construct):
    """The workflow, and the rule that starts it for executions of the state machine named `watched` and for its own."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Functions,
        lock_table: dynamodb.ITable,
        topic: sns.ITopic,
        watched: str,
        last_call: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        function_tasks = Tasks(self, functions)
        ending = Ending(
            self,
            "Ending",
            lock_table=lock_table,
            topic=topic,
            successes=SUCCESSES,
            failures=FAILURES,
            about=f'{{"repairs": {DEAD}}}',
        )
        text = tasks.DynamoAttributeValue.from_string
        nothing_to_repair = {"outcome": "NOTHING_TO_REPAIR", "cause": jsonata(f'{ENDED} & " and held no lock."')}
        failure = {"outcome": "RepairFailed", "cause": jsonata(f"{NOT_REPAIRED} & {sentence(FAILED_STATE)} & {LOOK}")}

        # The states.

        find_lock = tasks.CallAwsService.jsonata(
            self,
            "FindLock",
            comment="Did the execution that ended hold a pair's lock?",
            service="dynamodb",
            action="scan",
            iam_action="dynamodb:Scan",
            parameters={
                "TableName": lock_table.table_name,
                "ConsistentRead": True,
                "FilterExpression": "execution = :dead",
                "ExpressionAttributeValues": {":dead": {"S": jsonata(DEAD)}},
            },
            iam_resources=[lock_table.table_arn],
            task_timeout=SERVICE_TIMEOUT,
            assign={**INITIAL_VARIABLES, "plan": {"pair": NONE}, "lock": jsonata(LOCK)},
        )
        lock_found = sfn.Choice.jsonata(self, "LockFound?")
        take_over = tasks.DynamoPutItem.jsonata(
            self,
            "TakeOverLock",
            comment="Takes the lock from the execution that ended, unless another one has done so.",
            table=lock_table,
            item=lock_item(pair="$lock.pair", server="$lock.server", private_ips="$lock.privateIps"),
            condition_expression="execution = :dead OR execution = :me",
            expression_attribute_values={":dead": text(jsonata(DEAD)), ":me": text(EXECUTION)},
            task_timeout=SERVICE_TIMEOUT,
            assign={"plan": {"pair": "{% $lock.pair %}"}},
        )
        holder = DeadHolder(
            self,
            "Holder",
            execution=DEAD,
            holders=[watched, NAME],
            last_call=last_call,
            take_over=take_over,
            running=ending.notify,
            while_running={
                "outcome": "RepairFailed",
                "cause": jsonata(f'"The execution " & {DEAD} & " still runs and keeps its lock. Nothing was changed."'),
            },
            failed=ending.notify,
            failure=failure,
        )
        describe_addresses = function_tasks.describe_addresses(
            "DescribeAddresses",
            comment="Looks at both addresses and both servers, and plans to keep production where it is.",
            request={"pair": "{% $lock.pair %}"},
            interrupted='{"server": $lock.server, "privateIps": $lock.privateIps}',
            retry=retry_rollback,
            keep_live=True,
        )
        decision = sfn.Choice.jsonata(
            self, "Decision?", comment="Is staging on the idle server, and if not, may it be?"
        )
        repair_staging = function_tasks.move_staging(
            "RepairStaging",
            comment="The staging address is not on the idle server, where it belongs: puts it there.",
            to="idle",
            production_on="live",
            retry=retry_rollback,
            coming_from="$plan.staging.server",
            assign={"outcome": "REPAIRED"},
        )

        # The order in which they run.

        retry_service(find_lock)
        find_lock.next(lock_found)
        find_lock.add_catch(ending.notify, assign={**INITIAL_VARIABLES, "plan": {"pair": NONE}, **failure})
        lock_found.when(
            sfn.Condition.jsonata("{% $lock = null %}"), ending.notify, comment="no", assign=nothing_to_repair
        )
        lock_found.otherwise(holder.start)
        retry_service(take_over)
        take_over.next(describe_addresses)
        take_over.add_catch(ending.notify, errors=[CONDITION_FAILED], assign=nothing_to_repair)
        take_over.add_catch(ending.notify, assign=failure)
        describe_addresses.next(decision)
        describe_addresses.add_catch(ending.release_lock, assign=failure)
        decision.when(
            sfn.Condition.jsonata('{% $plan.decision = "REFUSED" %}'),
            ending.release_lock,
            comment="it may not",
            assign={"outcome": "RepairFailed", "cause": jsonata(f"{NOT_REPAIRED} & $plan.reason & {LOOK}")},
        )
        decision.when(
            sfn.Condition.jsonata('{% $plan.decision = "ALREADY_LIVE" %}'),
            ending.release_lock,
            comment="on the idle server",
            assign={"outcome": "REPAIRED"},
        )
        decision.otherwise(repair_staging)
        repair_staging.next(ending.release_lock)
        repair_staging.add_catch(ending.release_lock, assign=failure)

        self.state_machine = standard_state_machine(
            self,
            name=NAME,
            comment="Started by EventBridge when an execution of eip-cutover was stopped or timed out.",
            start=find_lock,
            timeout=TIMEOUT,
        )
        events.Rule(
            self,
            "Ended",
            description="Repairs what an execution that was stopped or timed out has left.",
            event_pattern=status_change(self, [watched, NAME], ["ABORTED", "TIMED_OUT"]),
            targets=[
                targets.SfnStateMachine(
                    self.state_machine,
                    input=events.RuleTargetInput.from_object(
                        {
                            "execution": events.EventField.from_path("$.detail.executionArn"),
                            "status": events.EventField.from_path("$.detail.status"),
                        }
                    ),
                )
            ],
        )
