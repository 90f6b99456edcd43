"""An execution that is stopped before any state, or that Step Functions fails, is repaired: production stays.

The next execution works.
"""

from collections.abc import Callable

import pytest

from local.faults import Fault
from tests.stacks.synthesis import workflow_of
from tests.stacks.test_contract import states_of
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import stopping_before
from tests.workflow.web import Web, sick, sick_as_production

# What leads an execution to the states below, with the ARN of an execution that runs meanwhile, if any; and its input.
LEADS: dict[str, tuple[Callable[[Aws, Web, EC2Calls], object], object]] = {
    "a cutover": (lambda aws, web, calls: None, {}),
    "a bad release": (lambda aws, web, calls: web.behaviour.update(tao=sick_as_production), {}),
    "a rollback that nobody can describe": (lambda aws, web, calls: _no_description(web, calls), {}),
    "staging on no server": (lambda aws, web, calls: aws.disassociate(aws.staging), {"serverName": "tao"}),
    "only staging to put right": (lambda aws, web, calls: aws.disassociate(aws.staging), {"serverName": "bittybot"}),
    "a dead holder": (lambda aws, web, calls: aws.put_lock(aws.execute({"dryRun": True}).arn, server="tao"), {}),
    "a running holder": (lambda aws, web, calls: _running_holder(aws, web), {}),
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
    "a wrong input": (lambda aws, web, calls: None, {"server": "tao"}),
}  # fmt: skip
STATES = {
    "a cutover": (
        "DescribeAddresses", "AcquireLock", "Decision?", "Preflight", "HealthCheckStaging", "CheckServers",
        "RehearseDisassociate", "RehearseAssociateProduction", "RehearseAssociateStaging", "DryRun?", "MeasureGap",
        "DisassociateStaging", "ReassociateProduction", "ReassociateStaging", "HealthCheckProduction", "Bake?",
        "ReleaseLock",
        "Notify", "PutEvent", "Outcome?", "CutOver",
    ),
    "a bad release": (
        "ProductionMoved?", "RestoreProduction", "RestoreStaging", "DescribeRestored", "HealthCheckRestored",
        "RolledBack",
    ),
    "a rollback that nobody can describe": ("RollbackFailed",),
    "staging on no server": ("RepairStaging",),
    "only staging to put right": ("Repaired",),
    "a dead holder": (
        "DescribeLock", "LockHeld?", "DescribeLockHolder", "HolderRunning?", "WaitForLastCall", "TakeOverLock",
    ),
    "a running holder": ("CutoverInProgress",),
    "a rollback and a running holder": ("RequestRollback", "WaitForHolder"),
    "a bake": ("RecordBake", "Bake"),
    "a sick idle server": ("StagingUnhealthy",),
    "a permission that is missing": ("PreflightFailed",),
    "a move by someone else": ("AddressMoved",),
    "a live server to make live": ("AlreadyLive",),
    "a live release to expect": ("HealthCheckLive",),
    "a dry run": ("DescribeUnchanged", "DryRun"),
    "a wrong input": ("InvalidRequest",),
}  # fmt: skip
CASES = [pytest.param(lead, state, id=state) for lead, states in STATES.items() for state in states]


def _no_description(web: Web, calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick_as_production
    calls.inject(Fault(action="function DescribeRestored", kind="crashed-before", times=None))


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
    following = aws.execute({"serverName": idle})
    assert following.outcome == "CUT_OVER", following.cause
    assert (aws.places, aws.locks) == ((idle, production), [])


def _holders(aws: Aws) -> list[str]:
    return [lock["execution"]["S"] for lock in aws.locks]
