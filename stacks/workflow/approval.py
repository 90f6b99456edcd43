"""The approval: an execution with a release waits for a person after its checks, and asks for it on the topic and by an
event. It is answered with the task token, which the lock's item has while it waits."""

from aws_cdk import Aws, aws_stepfunctions as sfn

from stacks.workflow import retries
from stacks.workflow.expressions import EXECUTION, INPUT, jsonata, merged, plain, sentence
from stacks.workflow.notifications import PAIR, STARTED, publish, put_event
from stacks.workflow.tasks import Tasks

DETAIL_TYPE, OUTCOME = "Elastic IP Cutover Awaits Approval", "AWAITS_APPROVAL"

UNTIL = "$fromMillis($toMillis($states.context.State.EnteredTime) + 60000 * $plan.approvalMinutes)"
LEFT = "$max([1, $ceil(($toMillis($approvesUntil) - $millis()) / 1000)])"
BY = plain("$by", 256)
APPROVED_BY = f'($by := $states.result.approvedBy; $type($by) = "string" and $by != "" ? {BY} : "someone")'
# The first check at the staging address: what a person opens before the answer.
URL = """(
    $check := $plan.healthCheck[0]; $at := $staging.publicIp & ":" & $string($check.port);
    $check.protocol = "TCP" ? "tcp://" & $at : $lowercase($check.protocol) & "://" & $at & $check.path
)"""
WAITING = f"""{{
    "outcome": "{OUTCOME}", "release": $plan.release, "server": $plan.idle.name, "stagingUrl": {URL},
    "approvesUntil": $approvesUntil, "production": $production, "staging": $staging
}}"""
DETAIL = merged(STARTED, PAIR, WAITING)
TEXT = f"""
    "Release " & $plan.release & " is on " & $plan.idle.name & " and has passed its checks: " & {URL}
    & "\\nIt becomes live if it is approved until " & $approvesUntil & ". To answer:\\n./cutover.py approve --pair "
    & $plan.pair & "\\n./cutover.py reject --pair " & $plan.pair & "\\n\\nExecution: " & $states.context.Execution.Id
"""
LOCK_CHANGED = "DynamoDb.ConditionalCheckFailedException"
GIVEN = """(
    $error := $states.errorOutput.Error;
    ($error in ["Rejected", "RollbackRequested"] ? "" : $error & ": ")
    & ($states.errorOutput.Cause ? $states.errorOutput.Cause : "no reason was given")
)"""
NOT_APPROVED = f"""
    ($states.errorOutput.Error = "States.Timeout"
        ? "Nobody approved release " & $plan.release & " until " & $approvesUntil & "."
        : "Release " & $plan.release & " was not approved: " & ($states.errorOutput.Error = "{LOCK_CHANGED}"
        ? "another execution asked for a rollback, or has taken the lock of pair " & $plan.pair & "."
        : {sentence(plain(GIVEN, 1024))}))
    & " Production was not touched."
"""


def wait_for_approval(tasks: Tasks, *, approved: sfn.IChainable, refused: sfn.IChainable) -> sfn.IChainable:
    """Returns the first state; `$approvesUntil` must have been assigned (`UNTIL`). `approved` follows with
    `$approvedBy`, `refused` with the outcome NotApproved."""
    notify = publish(tasks, "NotifyApproval", text=TEXT, detail=DETAIL, outcome=f'"{OUTCOME}"')
    event = put_event(tasks, "PutApprovalEvent", DETAIL_TYPE, DETAIL)
    # The CDK's own state cannot have a timeout in JSONata. The role may update the table's items for `AcquireLock`.
    values = {":token": "{% $states.context.Task.Token %}", ":until": "{% $approvesUntil %}", ":me": EXECUTION}
    state = {
        "Type": "Task",
        "Comment": "Writes the task token into the lock's item, and waits until someone answers with it.",
        "Resource": f"arn:{Aws.PARTITION}:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "Arguments": {
            "TableName": tasks.resources.lock_table.table_name,
            "Key": {"pair": {"S": "{% $plan.pair %}"}},
            "UpdateExpression": "SET approvalToken = :token, approvesUntil = :until",
            # Another execution may have asked for a rollback just before.
            "ConditionExpression": "execution = :me AND attribute_not_exists(rollbackRequestedBy)",
            "ExpressionAttributeValues": {key: {"S": value} for key, value in values.items()},
        },
        "TimeoutSeconds": jsonata(LEFT),
        "Assign": {"approvedBy": jsonata(APPROVED_BY)},
    }
    wait = sfn.CustomState(tasks.scope, "WaitForApproval", state_json=state)
    remove = "REMOVE approvalToken, approvesUntil"
    record = tasks.update_item("RecordApproval", remove, {":me": EXECUTION}, outputs=INPUT)
    for task, following in ((notify, event), (event, wait), (record, approved)):
        task.add_catch(following, outputs=INPUT).next(following)
    retries.retry(wait, retries.WRITE)
    wait.add_catch(refused, assign={"outcome": "NotApproved", "cause": jsonata(NOT_APPROVED)}).next(record)
    return notify
