"""Someone moves production to the place where our next call puts staging, so EC2 displaces production.

No condition of EC2's API prevents it. Whatever else fails at the same time, production goes home, and the execution
says what happened.
"""

from collections.abc import Callable

import pytest

from local.faults import Fault
from tests.workflow.account import Aws, Execution
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

Run = Callable[[Aws, Web, EC2Calls, Callable[[], str]], tuple[Callable[[], Execution], int, str]]


def repair(
    aws: Aws, _web: Web, _calls: EC2Calls, stopped: Callable[[], str]
) -> tuple[Callable[[], Execution], int, str]:
    """What runs, which AssociateAddress of it puts staging where someone puts production, and on which server."""
    arn = stopped()
    aws.place(production="bittybot", staging=None)
    return lambda: aws.repair(arn), 1, "tao"


def repair_staging(aws: Aws, _web: Web, _calls: EC2Calls, _: object) -> tuple[Callable[[], Execution], int, str]:
    aws.place(production="bittybot", staging=None)
    return lambda: aws.execute({"serverName": "tao"}), 1, "tao"


def reassociate_staging(aws: Aws, _web: Web, _calls: EC2Calls, _: object) -> tuple[Callable[[], Execution], int, str]:
    return lambda: aws.execute({}), 2, "bittybot"


def restore_staging(aws: Aws, web: Web, _calls: EC2Calls, _: object) -> tuple[Callable[[], Execution], int, str]:
    web.behaviour["tao"] = sick_as_production
    return lambda: aws.execute({}), 4, "tao"


OUTCOMES = {
    repair: "RepairFailed", repair_staging: "PreflightFailed", reassociate_staging: "RolledBack",
    restore_staging: "RolledBack",
}  # fmt: skip
# What fails beside that: the first fault from the call that puts staging on.
FAULTS = {
    "nothing": (),
    "the answer is lost": (Fault(action="AssociateAddress", kind="answer-lost"),),
    "the next description fails": (Fault(action="DescribeAddresses", kind="internal-error"),),
    "the put-back is refused once": (Fault(action="AssociateAddress", kind="refused", nth=2),),
    "the put-back is throttled for a while": (Fault(action="AssociateAddress", kind="throttled", nth=2, times=20),),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("run", OUTCOMES, ids=lambda run: run.__name__)
def test_production_that_our_call_displaced_goes_home(
    aws: Aws, web: Web, ec2_calls: EC2Calls, stopped: Callable[[], str], run: Run, fault: str
) -> None:
    execute, nth, server = run(aws, web, ec2_calls, stopped)
    first = ec2_calls.made.count("AssociateAddress")

    def move_production_there() -> None:
        aws.associate(aws.production, server)
        for each in FAULTS[fault]:
            ec2_calls.inject(each)

    ec2_calls.before("AssociateAddress", move_production_there, nth=first + nth)
    execution = execute()
    assert aws.places == ("bittybot", "tao"), execution.cause
    assert execution.outcome == OUTCOMES[run], execution.cause  # type: ignore[index]
    assert aws.locks == []
    assert "Someone else moved the production address" in str(execution.cause)


def test_production_that_comes_from_outside_the_pair_and_is_displaced_goes_home(
    aws: Aws, web: Web, ec2_calls: EC2Calls
) -> None:
    """The simulation found that it stayed on no server: someone moves it out of the pair, and later under staging."""
    aws.servers["stranger"] = aws.launch()

    def sick_and_moved(address: str) -> int:
        if address == "production":
            aws.associate(aws.production, "stranger")
        return 500 if address == "production" else 200

    web.behaviour["tao"] = sick_and_moved
    ec2_calls.before("AssociateAddress", lambda: aws.associate(aws.production, "tao"), nth=3)
    execution = aws.execute({})
    assert aws.places == ("bittybot", "tao"), execution.cause
    assert "Someone else moved the production address" in str(execution.cause)
