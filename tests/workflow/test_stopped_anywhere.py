"""An execution that is stopped before any state, or that Step Functions fails, is repaired: production stays.

The next execution works.
"""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from local.faults import Fault
from local.systems_manager_runs import Result
from tests.stacks.synthesis import workflow_of
from tests.stacks.test_contract import states_of
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import stopping_before
from tests.workflow.fault_runs import OF_A_RELEASE
from tests.workflow.web import Behaviour, Web, sick, sick_as_production, well

SEVEN = {"release": "7"}
APPROVED = {"approval": {"timeoutMinutes": 1}}
# What leads an execution to the states below, with the ARN of an execution that runs meanwhile, if any; and its input.
LEADS: dict[str, tuple[Callable[[Aws, Web, EC2Calls], object], object]] = {
    "a cutover": (lambda aws, web, calls: None, {}),
    "a bad release": (lambda aws, web, calls: web.behaviour.update(tao=sick_as_production), {}),
    "a rollback that nobody can describe": (lambda aws, web, calls: _no_description(web, calls), {}),
    "staging on no server": (lambda aws, web, calls: aws.disassociate(aws.staging), {"serverName": "tao"}),
    "only staging to put right": (lambda aws, web, calls: aws.disassociate(aws.staging), {"serverName": "bittybot"}),
    "a dead holder": (lambda aws, web, calls: aws.put_lock(aws.execute({"dryRun": True}).arn, server="tao"), {}),
    "a running holder": (lambda aws, web, calls: _running_holder(aws, web), {}),
    "a cutover that has just ended": (lambda aws, web, calls: aws.execute({}).outcome and None, {}),
    "a rollback and a running holder": (lambda aws, web, calls: _running_holder(aws, web), {"rollback": True}),
    "a bake": (lambda aws, web, calls: aws.configure(port=web.port, pair={"bakeSeconds": 1}), {}),
    "a sick idle server": (lambda aws, web, calls: web.behaviour.update(tao=sick), {}),
    "a permission that is missing": (
        lambda aws, web, calls: calls.inject(Fault(action="AssociateAddress (dry run)", kind="denied")), {}),
    "a move by someone else": (lambda aws, web, calls: calls.inject(_moved(aws)), {}),
    "a live server to make live": (lambda aws, web, calls: None, {"serverName": "bittybot"}),
    "a live release to expect": (
        lambda aws, web, calls: aws.configure(port=web.port, releaseHeader="X-Release"),
        {"serverName": "bittybot", "expectedRelease": "1"}),
    "a dry run": (lambda aws, web, calls: None, {"dryRun": True}),
    "a release": (lambda aws, web, calls: _release(aws, web), SEVEN),
    "a release that fails as production": (lambda aws, web, calls: _release(aws, web, sick_as_production), SEVEN),
    "a deployment that fails": (lambda aws, web, calls: _release(aws, web, fails="deploy"), SEVEN),
    "a hook that fails": (lambda aws, web, calls: _release(aws, web, fails="beforeCutover0"), SEVEN),
    "a hook that fails after the cutover": (lambda aws, web, calls: _release(aws, web, fails="afterCutover0"), SEVEN),
    "a release that nobody approves": (lambda aws, web, calls: _release(aws, web, more=APPROVED), SEVEN),
    "a release that someone approves": (lambda aws, web, calls: _is_approved(aws, web), SEVEN),
    "a rollback and a holder that waits for approval": (
        lambda aws, web, calls: _awaits_approval(aws, web), {"rollback": True}),
    "a dead holder of a command": (
        lambda aws, web, calls: _dead_holder_of_a_command(aws), {}),
    "a command that still runs": (
        lambda aws, web, calls: web.behaviour.update(tao=lambda _address: _sick_while_it_runs(aws)), {}),
    "a wrong input": (lambda aws, web, calls: None, {"server": "tao"}),
}  # fmt: skip
STATES = {
    "a cutover": (
        "DescribeAddresses", "AcquireLock", "Decision?", "Preflight", "HealthCheckStaging", "CheckServers",
        "RehearseDisassociate", "RehearseAssociateProduction", "RehearseAssociateStaging", "DryRun?", "MeasureGap",
        "DisassociateStaging", "ReassociateProduction", "ReassociateStaging", "HealthCheckProduction", "Bake?",
        "AfterCutover?", "Undo?", "ReleaseLock", "Notify", "PutEvent", "Outcome?", "CutOver",
    ),
    "a bad release": (
        "ProductionMoved?", "RestoreProduction", "RecordRollback", "RestoreStaging", "DescribeRestored",
        "HealthCheckRestored", "RolledBack",
    ),
    "a rollback that nobody can describe": ("RollbackFailed",),
    "staging on no server": ("RepairStaging",),
    "only staging to put right": ("Repaired",),
    "a dead holder": (
        "DescribeLock", "LockHeld?", "DescribeLockHolder", "HolderRunning?", "WaitForLastCall", "CommandRuns?",
        "TakeOverLock",
    ),
    "a running holder": ("CutoverInProgress",),
    "a cutover that has just ended": ("WaitForAddresses",),
    "a rollback and a running holder": ("RequestRollback", "AwaitsApproval?", "WaitForHolder"),
    "a bake": ("RecordBake", "Bake"),
    "a sick idle server": ("StagingUnhealthy",),
    "a permission that is missing": ("PreflightFailed",),
    "a move by someone else": ("AddressMoved",),
    "a live server to make live": ("AlreadyLive",),
    "a live release to expect": ("HealthCheckLive",),
    "a dry run": ("DescribeUnchanged", "DryRun"),
    "a wrong input": ("InvalidRequest",),
    "a release": ("DeployRelease", "BeforeCutover", "AfterCutover"),
    "a release that fails as production": ("AfterRollback",),
    "a deployment that fails": ("DeployFailed",),
    "a hook that fails": ("BeforeCutoverFailed?",),
    "a hook that fails after the cutover": ("AfterCutoverFailed?",),
    "a release that nobody approves": ("NotifyApproval", "PutApprovalEvent", "WaitForApproval", "NotApproved"),
    "a release that someone approves": ("RecordApproval",),
    "a rollback and a holder that waits for approval": ("EndApproval",),
    "a dead holder of a command": ("EndCommandOfHolder",),
    "a command that still runs": ("EndCommand",),
}  # fmt: skip
CASES = [pytest.param(lead, state, id=state) for lead, states in STATES.items() for state in states]


def _no_description(web: Web, calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    calls.inject(Fault(action="function DescribeRestored", kind="crashed-before", times=None))


def _release(aws: Aws, web: Web, behaviour: Behaviour = well, *, fails: str = "", more: Any = None) -> None:
    aws.configure(port=web.port, pair={**OF_A_RELEASE, **(more or {})})
    web.behaviour["tao"] = behaviour
    if fails:
        aws.systems_manager.runs(Result(exit_code=1), step=fails)


def _is_approved(aws: Aws, web: Web) -> None:
    _release(aws, web, more=APPROVED)

    def approve() -> None:
        aws.until(lambda: any("approvalToken" in lock for lock in aws.locks))
        aws.sfn.send_task_success(taskToken=aws.locks[0]["approvalToken"]["S"], output="{}")

    threading.Thread(target=approve).start()


def _awaits_approval(aws: Aws, web: Web) -> str:
    _release(aws, web, more=APPROVED)
    holder = aws.start(SEVEN)
    aws.until(lambda: any("approvalToken" in lock for lock in aws.locks))
    return holder


def _dead_holder_of_a_command(aws: Aws) -> None:
    aws.put_lock(aws.execute({"dryRun": True}).arn, server="tao")
    _runs(aws)


def _sick_while_it_runs(aws: Aws) -> int:
    _runs(aws)
    return 500


def _runs(aws: Aws) -> None:
    """As far as the item of the lock says, a command may still run."""
    aws._update("SET commandRuns = :true", {":true": "true"})


def _running_holder(aws: Aws, web: Web) -> str:
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
    web.gates["staging"].clear()
    holder = aws.start({})
    aws.until(lambda: web.waiting["staging"] > 0)
    return holder


def _moved(aws: Aws) -> Fault:
    """Production goes to the idle server just before DisassociateStaging looks, and displaces staging."""
    tao = aws.servers["tao"]
    return Fault(action="DescribeAddresses", kind="moved", nth=2, allocation_id=aws.production, instance_id=tao)


def test_there_is_a_case_for_every_state_of_the_workflow(template: dict[str, object]) -> None:
    names = [name for name, _ in states_of(workflow_of(template))]
    assert sorted(state for states in STATES.values() for state in states) == sorted(names)


@pytest.mark.parametrize("status", ["ABORTED", "FAILED"])
@pytest.mark.parametrize(("lead", "state"), CASES)
def test_an_execution_that_ends_before_any_state_is_repaired(
    aws: Aws, web: Web, ec2_calls: EC2Calls, lead: str, state: str, status: str
) -> None:
    prepare, value = LEADS[lead]
    meanwhile = prepare(aws, web, ec2_calls)
    with stopping_before(state, status=status):
        arn = aws.start(value)
        aws.until(lambda: aws.status(arn) != "RUNNING")
    assert aws.status(arn) == status
    web.open_gates()
    if isinstance(meanwhile, str):
        aws.wait(meanwhile)
    production, staging = aws.places
    held_the_lock = arn in _holders(aws)
    ec2_calls.faults.clear()
    aws.forget_notices()
    repair = aws.repair(arn)
    assert repair.outcome == ("REPAIRED" if held_the_lock else "NOTHING_TO_REPAIR")
    idle = "tao" if production == "bittybot" else "bittybot"
    assert aws.places == (production, idle if held_the_lock else staging)
    assert len(aws.notices) == (1 if held_the_lock or status == "ABORTED" else 0)
    assert not {arn, repair.arn} & {*_holders(aws)}
    web.serve(aws)
    aws.configure(port=web.port)
    following = aws.execute({"serverName": idle})
    assert following.outcome == "CUT_OVER", following.cause
    assert (aws.places, aws.locks) == ((idle, production), [])


def _holders(aws: Aws) -> list[str]:
    return [lock["execution"]["S"] for lock in aws.locks]
