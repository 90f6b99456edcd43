"""The repair: what an execution that was stopped or timed out left behind is put right, without moving production.

Step Functions runs no Catch in such an execution, so it can neither roll back nor release its lock. EventBridge tells
of it (best effort: an event that is lost is made up for by the next execution, which takes over the dead lock), and
the workflow `eip-cutover-repair` waits until the last call that it made is over, sees to it that the staging address is
on the idle server, and releases the lock. A repair that is stopped is repaired in the same way.
Source: Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge".
"""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import Functions
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import CAUGHT, EXECUTION, RESULT, jsonata, sentence
from stacks.workflow.lock import NO_EXECUTION, describe_execution
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_rollback, retry_service
from stacks.workflow.state_machine import standard_state_machine
from stacks.workflow.tasks import Steps

NAME = "eip-cutover-repair"
DEAD = "$states.context.Execution.Input.execution"
LOCK = (
    '$count($states.result.Items) > 0 ? {"pair": $states.result.Items[0].pair.S,'
    ' "server": $states.result.Items[0].server.S} : null'
)
ENDED = f'"The execution " & {DEAD} & " was " & $lowercase($states.context.Execution.Input.status)'
SUCCESSES = {
    "REPAIRED": ("Repaired", "Staging is on the idle server, production where it was, the lock released.", RESULT),
    "NOTHING_TO_REPAIR": (
        "NothingToRepair",
        "The execution held no lock when it ended: it had changed nothing, or was through.",
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
        steps = Steps(functions)
        ending = Ending(
            self,
            "Ending",
            lock_table=lock_table,
            topic=topic,
            successes=SUCCESSES,
            failures=FAILURES,
            about=f'"repairs": {DEAD}',
        )
        text = tasks.DynamoAttributeValue.from_string
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
            assign={"lock": jsonata(LOCK)},
        )
        describe_ended = describe_execution(
            self,
            "DescribeEnded",
            comment="Has the execution really ended? Events are believed when they are seen to be true.",
            execution=DEAD,
            state_machines=[watched, NAME],
            last_call=last_call,
        )
        wait = sfn.Wait.jsonata(
            self,
            "WaitForLastCall",
            comment="A function that the execution called may still be at work; by then it is not.",
            time=sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}"),
        )
        take_over = tasks.DynamoPutItem.jsonata(
            self,
            "TakeOverLock",
            comment="Takes the lock from the execution that ended, unless another one has done so.",
            table=lock_table,
            item={
                "pair": text("{% $lock.pair %}"),
                "execution": text(EXECUTION),
                "since": text("{% $states.context.State.EnteredTime %}"),
                "server": text("{% $lock.server %}"),
            },
            condition_expression="execution = :dead OR execution = :me",
            expression_attribute_values={":dead": text(jsonata(DEAD)), ":me": text(EXECUTION)},
            task_timeout=SERVICE_TIMEOUT,
            assign={"plan": {"pair": "{% $lock.pair %}"}},
        )
        describe = steps.describe_addresses(
            self,
            "DescribeAddresses",
            comment="Looks at both addresses, and plans to keep production where it is.",
            request={"pair": "{% $lock.pair %}"},
            keep_live=True,
        )
        repair_staging = steps.associate(
            self,
            "RepairStaging",
            comment="The staging address is not on the idle server, where it belongs: puts it there.",
            address="staging",
            server="$plan.idle",
            assign={"outcome": "REPAIRED"},
        )
        nothing = {"outcome": "NOTHING_TO_REPAIR", "cause": jsonata(f'{ENDED} & " and held no lock."')}
        failed = {
            "outcome": "RepairFailed",
            "cause": jsonata(
                f'{ENDED} & ", and what it left could not be repaired: " & $states.context.State.Name'
                f' & " failed with " & {sentence(CAUGHT)}'
                ' & " Production was not moved. See where both addresses are with: aws ec2 describe-addresses."'
            ),
        }

        retry_service(find_lock)
        retry_service(describe_ended)
        retry_service(take_over)
        retry_rollback(describe)
        retry_rollback(repair_staging)
        take_over.add_catch(ending.notify, errors=[CONDITION_FAILED], assign=nothing)
        describe_ended.add_catch(take_over, errors=[NO_EXECUTION])
        find_lock.add_catch(ending.notify, assign=failed)
        describe_ended.add_catch(ending.notify, assign=failed)
        take_over.add_catch(ending.notify, assign=failed)
        describe.add_catch(ending.release_lock, assign=failed)
        repair_staging.add_catch(ending.release_lock, assign=failed)

        find_lock.next(
            sfn.Choice.jsonata(self, "LockFound?")
            .when(sfn.Condition.jsonata("{% $lock = null %}"), ending.notify, comment="no", assign=nothing)
            .otherwise(describe_ended)
        )
        describe_ended.next(
            sfn.Choice.jsonata(self, "StillRunning?")
            .when(
                sfn.Condition.jsonata('{% $states.input.status = "RUNNING" %}'),
                ending.notify,
                comment="running",
                assign={
                    "outcome": "RepairFailed",
                    "cause": jsonata(
                        f'"The execution " & {DEAD} & " still runs and keeps its lock. Nothing was changed."'
                    ),
                },
            )
            .otherwise(wait)
        )
        wait.next(take_over)
        take_over.next(describe)
        describe.next(
            sfn.Choice.jsonata(self, "StagingInPlace?")
            .when(
                sfn.Condition.jsonata("{% $plan.stagingInPlace %}"),
                ending.release_lock,
                comment="on the idle server",
                assign={"outcome": "REPAIRED"},
            )
            .otherwise(repair_staging)
        )
        repair_staging.next(ending.release_lock)

        self.state_machine = standard_state_machine(
            self,
            name=NAME,
            comment="Started by EventBridge when an execution of eip-cutover was stopped or timed out.",
            start=find_lock,
            timeout=Duration.hours(7),
        )
        events.Rule(
            self,
            "Ended",
            description="Repairs what an execution that was stopped or timed out has left.",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [
                        Stack.of(self).format_arn(
                            service="states",
                            resource="stateMachine",
                            resource_name=name,
                            arn_format=ArnFormat.COLON_RESOURCE_NAME,
                        )
                        for name in (watched, NAME)
                    ],
                    "status": ["ABORTED", "TIMED_OUT"],
                },
            ),
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
