"""`make try-destroy`: removes what `make try` made, in the order in which AWS can delete it."""

from collections.abc import Iterator

from client.account import Account, AwsError, Problem
from prerequisites import Obstacle
from this_machine import ThisMachine
from try_stacks import CUTOVER, SERVERS, STACKS, TEST_PAIR, Stack, delete, described, ids, not_ours, resources, settle

LOCK_TABLE = f"{CUTOVER}-Locks"  # begins the name that CloudFormation gives the table
TABLE_SECONDS = 300
FOREIGN = "`make try-destroy` removes only what `make try` made. Delete the stack yourself if nobody needs it."
CAUSE = "make try-destroy removes the workflow."
# What is left of something that was removed.
KEPT = {
    "AWS::CloudFormation::Stack": "the CDK's bootstrap stack of this account and Region, with the uploaded code: "
    "`make try` did not make it",
    "AWS::KMS::Key": "the key of the notifications: its deletion is scheduled, in 30 days, and a key that waits for it "
    "costs nothing",
    "AWS::DynamoDB::Table": "the system backup of the lock table, which DynamoDB makes of a deleted table and keeps "
    "for 35 days",
    "AWS::StepFunctions::StateMachine": "CloudWatch's metrics of the executions, which expire by themselves",
}
REPAIR_STARTS_SECONDS = 15  # EventBridge has started the repair of an execution that was stopped
STOPPED_SECONDS = 120


def strangers(account: Account) -> list[Obstacle]:
    """The stacks with these names that `make try` did not make."""
    stacks = (described(account, name) for name in STACKS)
    return [Obstacle(not_ours(stack), FOREIGN) for stack in stacks if stack.is_foreign]


def remove(machine: ThisMachine, account: Account) -> None:
    """Remove everything that is still there. There must be nothing else in the stack of the servers. Raises Problem."""
    cutover, servers = (settle(machine, account, described(account, name)) for name in STACKS)
    tables = list(_lock_tables(account, cutover))
    removed: list[str] = []
    kinds: set[str] = set()  # of the resources that were removed
    if cutover.is_removable:
        kinds |= {"AWS::CloudFormation::Stack", *(each["ResourceType"] for each in resources(account, cutover))}
        kinds.discard("AWS::DynamoDB::Table")  # which the stack retains
        _stop(machine, account, cutover)
        machine.say(f"Deleting the stack {CUTOVER}; this takes about two minutes.")
        delete(machine, account, cutover)
        removed.append(_described(cutover, "the workflow, its functions, alarms and logs"))
    for table in tables:
        machine.say(f"Deleting the lock table {table}, which the stack retains.")
        if _delete_table(machine, account, table):
            removed.append(f"the lock table {table}")
            kinds.add("AWS::DynamoDB::Table")
    if servers.is_removable:
        _disassociate(machine, account, servers)
        machine.say(f"Deleting the stack {SERVERS}; this takes about two minutes.")
        delete(machine, account, servers)
        removed.append(_described(servers, "two servers, two Elastic IP addresses, the network"))
        kinds.add("AWS::CloudFormation::Stack")
    if not removed:
        machine.say(f"There is nothing to remove: no stack {CUTOVER}, no stack {SERVERS} and no lock table.")
        return
    machine.say("\n".join(["", "Removed:", *(f"  - {each}" for each in removed)]))
    if kept := [text for kind, text in KEPT.items() if kind in kinds]:
        lines = ["Kept, and nothing of it costs as much as a cent a month:", *(f"  - {each}" for each in kept)]
        machine.say("\n".join(lines))


def _described(stack: Stack, content: str) -> str:
    return f"the stack {stack.name}{', which had no resources' if stack.is_empty else f': {content}'}"


def _stop(machine: ThisMachine, account: Account, cutover: Stack) -> None:
    """Stop every execution, also the repair that the stop of another one starts: it would move staging, while the
    servers and the workflow are deleted. Raises Problem."""
    quiet_since: float | None = None
    named: set[str] = set()

    def reason() -> str:
        nonlocal quiet_since
        running = list(_running(account, cutover))
        for arn in running:
            if arn not in named:
                named.add(arn)
                machine.say(f"Stopping the execution {arn}.")
            account.call("stepfunctions", "stop_execution", executionArn=arn, cause=CAUSE)
        if running:
            quiet_since = None
            return "The repair of what was stopped may start, and is stopped, too."
        if not named:
            return ""
        quiet_since = machine.monotonic() if quiet_since is None else quiet_since
        ended = machine.monotonic() - quiet_since >= REPAIR_STARTS_SECONDS
        return "" if ended else "The repair of what was stopped may start, and is stopped, too."

    if machine.wait(reason, seconds=STOPPED_SECONDS):
        raise Problem(f"Executions of {CUTOVER} still run, or are started again: {', '.join(sorted(named))}.")


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
    """False also if the table is gone, or is being deleted: then nothing is left to do."""
    try:
        shown = account.call("dynamodb", "describe_table", TableName=table)["Table"]
        if shown["TableStatus"] == "DELETING":
            return False
        pages = account.pages("dynamodb", "list_tags_of_resource", ResourceArn=shown["TableArn"])
        return {"Key": TEST_PAIR, "Value": "true"} in [tag for page in pages for tag in page["Tags"]]
    except AwsError as error:
        if error.code not in ("ResourceNotFoundException", "ResourceInUseException"):
            raise
        return False


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
