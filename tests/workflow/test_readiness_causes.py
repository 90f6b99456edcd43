"""What ends a cutover as PreflightFailed or StagingUnhealthy is known before anyone starts one: an evaluation finds it.

A cause is a state of servers, addresses and alarms (`unready_pairs.STATES`), or a fault of the fault matrix: a kind of
fault at a kind of call of a state, and what it strikes. It is a cause if an execution ends so, and counts once, however
many ways meet it. An evaluation sees it if, in each way that ends so, the same fault from the beginning adds a reason
to those that the same pair has without the fault.

Left out are the ways through a rollback, whose faults begin when production has moved, and the way `repair`: its pair
is not ready whatever else fails (two of the states), and an evaluation says so instead of looking further. Requests for
a release that no server answers with are left out, too: they are not a state of the pair.
"""

from collections import defaultdict
from typing import Any

import pytest

from tests.workflow.account import Aws
from tests.workflow.conftest import COUNTS
from tests.workflow.fault_cases import Case, cases, recorded
from tests.workflow.fault_runs import REFUSED, in_processes, is_seen
from tests.workflow.unready_pairs import STATES
from tests.workflow.web import Web

Cause = tuple[str | None, ...]
# The states and calls whose faults no evaluation sees, and why.
NOT_SEEN = {
    ("BeforeCutover", "function BeforeCutover"): "an evaluation changes nothing, so it runs no hooks",
    ("BeforeCutover", "ssm GetCommandInvocation"): "an evaluation changes nothing, so it runs no hooks",
    ("BeforeCutover", "ssm SendCommand"): "an evaluation changes nothing, so it runs no hooks",
}


def possible_causes() -> dict[Cause, list[Case]]:
    """Each kind of fault at each kind of call before the first change: a case for each way, with a fault that does not
    end by itself if the matrix has one."""
    possible: dict[Cause, dict[str, Case]] = defaultdict(dict)
    for case in sorted(cases(), key=lambda case: case.fault.times is not None):
        way, call, fault = case.way, case.call, case.fault
        calls = recorded()[way.name]
        early = calls.index(call) < [each.state for each in calls].index("MeasureGap")
        if early and way.staging_on_a_server and not way.rolls_back:
            cause = (call.state, call.action, fault.kind, fault.allocation_id, fault.instance_id)
            possible[cause].setdefault(way.name, case)
    return {cause: list(of_ways.values()) for cause, of_ways in possible.items()}


def test_nine_of_ten_causes_appear_as_not_ready(request: pytest.FixtureRequest, template: dict[str, Any]) -> None:
    possible = possible_causes()
    seen = in_processes(is_seen, [case for each in possible.values() for case in each], template)
    in_ways = {cause: {seen[str(case)] for case in each} - {None} for cause, each in possible.items()}
    faults = {cause: ways == {True} for cause, ways in in_ways.items() if ways}
    count, of_all = sum(faults.values()) + len(STATES), len(faults) + len(STATES)
    request.config.stash[COUNTS].append(
        f"Readiness: {count} of {of_all} causes of {' and '.join(REFUSED)} appear as not ready ({count / of_all:.1%}): "
        f"faults {sum(faults.values())} of {len(faults)}, states of a pair {len(STATES)} of {len(STATES)}."
    )
    assert {cause[:2] for cause, in_all_ways in faults.items() if not in_all_ways} == NOT_SEEN.keys()
    assert count / of_all >= 0.9


@pytest.mark.parametrize("state", STATES)
def test_a_pair_that_a_cutover_would_refuse_is_not_ready_for_the_same_reason(aws: Aws, web: Web, state: str) -> None:
    STATES[state](aws, web)
    cutover, evaluation = aws.execute({}), aws.evaluate()
    web.open_gates()
    assert (cutover.outcome in REFUSED, evaluation.outcome) == (True, "NOT_READY"), cutover.cause
    cause = str(cutover.cause).replace(" Nothing was changed.", "")
    assert [reason for reason in evaluation.output["reasons"] if reason in cause], evaluation.output
