"""`make try-destroy`: removes what `make try` made, in the order in which AWS can delete it."""

from collections.abc import Iterator

from client.account import Account, AwsError, Problem
from prerequisites import Obstacle
from this_machine import ThisMachine
from try_stacks import CUTOVER, SERVERS, STACKS, TEST_PAIR, Stack, delete, described, ids, not_ours, settle

LOCK_TABLE = f"{CUTOVER}-Locks"  # begins the name that CloudFormation gives the table
TABLE_SECONDS = 300
FOREIGN = "`make try-destroy` removes only what `make try` made. Delete the stack yourself if nobody needs it."
CAUSE = "make try-destroy removes the workflow."
KEPT = """Kept, and nothing of it costs as much as a cent a month:
  - the CDK's bootstrap stack of this account and Region, with the uploaded code: `make try` did not make it
  - the key of the notifications: its deletion is scheduled, in 30 days, and a key that waits for it costs nothing
  - the system backup of the lock table, which DynamoDB makes of a deleted table and keeps for 35 days
  - CloudWatch's metrics of the executions, which expire by themselves"""


def strangers(account: Account) -> list[Obstacle]:
    """The stacks with these names that `make try` did not make."""
    stacks = (described(account, name) for name in STACKS)
    return [Obstacle(not_ours(stack), FOREIGN) for stack in stacks if stack.is_foreign]


def remove(machine: ThisMachine, account: Account) -> None:
    """Remove everything that is still there. There must be nothing else in the stack of the servers. Raises Problem."""
    cutover, servers = (settle(machine, account, described(account, name)) for name in STACKS)
    tables = list(_lock_tables(account, cutover))
    removed: list[str] = []
    if cutover.is_removable:
        for arn in _running(account, cutover):
            machine.say(f"Stopping the execution {arn}.")
            account.call("stepfunctions", "stop_execution", executionArn=arn, cause=CAUSE)
        machine.say(f"Deleting the stack {CUTOVER}; this takes about two minutes.")
        delete(machine, account, cutover)
        removed.append(f"the stack {CUTOVER}: the workflow, its functions, alarms and logs")
    for table in tables:
        machine.say(f"Deleting the lock table {table}, which the stack retains.")
        if _delete_table(machine, account, table):
            removed.append(f"the lock table {table}")
    if servers.is_removable:
        _disassociate(machine, account, servers)
        machine.say(f"Deleting the stack {SERVERS}; this takes about two minutes.")
        delete(machine, account, servers)
        removed.append(f"the stack {SERVERS}: two servers, two Elastic IP addresses, the network")
    if not removed:
        machine.say(f"There is nothing to remove: no stack {CUTOVER}, no stack {SERVERS} and no lock table.")
        return
    machine.say("\n".join(["", "Removed:", *(f"  - {each}" for each in removed), KEPT]))


def _running(account: Account, cutover: Stack) -> Iterator[str]:
    """The executions that run. A state machine is deleted only when its executions have ended, and an execution that
    waits for approval may take a week (re:Post, a state machine that is stuck in DELETING)."""
    for machine in ids(account, cutover, "AWS::StepFunctions::StateMachine"):
        asked = {"stateMachineArn": machine, "statusFilter": "RUNNING"}
        for page in account.pages("stepfunctions", "list_executions", **asked):
            yield from (execution["executionArn"] for execution in page["executions"])


def _lock_tables(account: Account, cutover: Stack) -> Iterator[str]:
    """The table of the stack, and those that stacks of the same name have left: by their names and tags."""
    output = cutover.outputs.get("LockTableName")
    for page in account.pages("dynamodb", "list_tables"):
        for name in page["TableNames"]:
            left = name.startswith(LOCK_TABLE) and name != output and _is_tagged(account, name)
            if left or (name == output and cutover.is_ours):
                yield name


def _is_tagged(account: Account, table: str) -> bool:
    arn = account.call("dynamodb", "describe_table", TableName=table)["Table"]["TableArn"]
    pages = account.pages("dynamodb", "list_tags_of_resource", ResourceArn=arn)
    return {"Key": TEST_PAIR, "Value": "true"} in [tag for page in pages for tag in page["Tags"]]


def _delete_table(machine: ThisMachine, account: Account, table: str) -> bool:
    """Returns False if the table is already gone."""

    def exists() -> str:
        try:
            shown = account.call("dynamodb", "describe_table", TableName=table)["Table"]
            if shown["TableStatus"] == "ACTIVE":  # else it is being changed or deleted
                if shown.get("DeletionProtectionEnabled"):
                    account.call("dynamodb", "update_table", TableName=table, DeletionProtectionEnabled=False)
                else:
                    account.call("dynamodb", "delete_table", TableName=table)
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return ""
            if error.code != "ResourceInUseException":
                raise
        return f"The table {table} still exists."

    was_there = bool(exists())
    if reason := machine.wait(exists, seconds=TABLE_SECONDS):
        raise Problem(reason)
    return was_there


def _disassociate(machine: ThisMachine, account: Account, servers: Stack) -> None:
    """Take both addresses off: an address that is on an instance cannot be released."""
    allocation_ids = [servers.outputs[key] for key in servers.outputs if key.endswith("AllocationId")]
    for address in account.addresses_by("allocation-id", allocation_ids):
        if "AssociationId" in address:
            machine.say(f"Disassociating {address['PublicIp']}.")
            account.call("ec2", "disassociate_address", AssociationId=address["AssociationId"])
