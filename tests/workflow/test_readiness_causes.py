"""What ends a cutover as PreflightFailed or StagingUnhealthy is known before anyone starts one: an evaluation finds it.

A cause is a state of servers, addresses and alarms (`unready_pairs.STATES`), or a lasting fault at a kind of call: one
case of the fault matrix for each way, state, action and fault that does not end by itself. The case is a cause if its
execution ends so, and it is seen if an evaluation of the same pair, with the same fault from the beginning, finds the
pair not ready. Left out are the ways through a rollback, whose faults begin when production has moved, and requests for
a release that no server answers with, which are not a state of the pair.
"""

from collections import Counter
from typing import Any

import pytest

from local.faults import STRIKES
from tests.workflow.account import Aws
from tests.workflow.conftest import COUNTS
from tests.workflow.fault_cases import Case, cases, recorded
from tests.workflow.fault_runs import REFUSED, evaluated, in_processes
from tests.workflow.unready_pairs import STATES
from tests.workflow.web import Web

# The kinds of call whose faults no evaluation sees: it changes nothing, so it runs no hooks; and it cannot write down
# that it cannot write.
NOT_SEEN = {
    ("", "dynamodb UpdateItem"),
    ("BeforeCutover", "dynamodb UpdateItem"),
    ("BeforeCutover", "function BeforeCutover"),
    ("BeforeCutover", "ssm GetCommandInvocation"),
    ("BeforeCutover", "ssm SendCommand"),
}


def kinds() -> list[Case]:
    """One case for each way and lasting fault at each kind of call before the first change."""
    kinds: dict[tuple[str | None, ...], Case] = {}
    for case in cases():
        way, call, fault = case.way, case.call, case.fault
        calls = recorded()[way.name]
        early = calls.index(call) < [each.state for each in calls].index("MeasureGap")
        if early and not way.rolls_back and (fault.times is None or fault.kind in STRIKES):
            what = (call.state, call.action, fault.kind, fault.allocation_id, fault.instance_id)
            kinds.setdefault((way.name, *what), case)
    return list(kinds.values())


def test_nine_of_ten_causes_appear_as_not_ready(request: pytest.FixtureRequest, template: dict[str, Any]) -> None:
    tried = kinds()
    results = in_processes(evaluated, tried, template)
    causes = [case for case in tried if results[str(case)]]
    seen = [case for case in causes if (result := results[str(case)]) and result.outcome == "NOT_READY"]
    ways, seen_of = (Counter(case.way.name for case in each) for each in (causes, seen))
    of_ways = ", ".join(f"{way} {seen_of[way]} of {count}" for way, count in ways.items())
    share = (len(seen) + len(STATES)) / (len(causes) + len(STATES))
    request.config.stash[COUNTS].append(
        f"Readiness: {len(seen) + len(STATES)} of {len(causes) + len(STATES)} causes of {' and '.join(REFUSED)} appear "
        f"as not ready ({share:.1%}): {of_ways}, states of a pair {len(STATES)} of {len(STATES)}."
    )
    assert {(case.call.state, case.call.action) for case in causes if case not in seen} == NOT_SEEN
    assert share >= 0.9


@pytest.mark.parametrize("state", STATES)
def test_a_pair_that_a_cutover_would_refuse_is_not_ready_for_the_same_reason(aws: Aws, web: Web, state: str) -> None:
    STATES[state](aws, web)
    cutover, evaluation = aws.execute({}), aws.evaluate()
    web.open_gates()
    assert (cutover.outcome in REFUSED, evaluation.outcome) == (True, "NOT_READY"), cutover.cause
    cause = str(cutover.cause).replace(" Nothing was changed.", "")
    assert [reason for reason in evaluation.output["reasons"] if reason in cause], evaluation.output
