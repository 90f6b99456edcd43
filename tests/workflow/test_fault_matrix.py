"""Every fault at every call of a cutover and of a rollback, from both directions: no guarantee breaks.

One case alone: `pytest tests/workflow/test_fault_matrix.py -k cutover.bittybot-live.ReassociateProduction`.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.workflow.account import Account
from tests.workflow.conftest import COUNTS
from tests.workflow.fault_cases import LIVE, WAYS, Case, Way, cases, in_order, record, recorded
from tests.workflow.fault_runs import Matrix, Result, run_all
from tests.workflow.oracle import broken
from tests.workflow.web import Web

CASES = list(cases())
PER_CASE = "test_no_fault_at_any_call_breaks_a_guarantee"


@pytest.fixture(scope="module")
def matrix(account: Account, web: Web) -> Iterator[Matrix]:
    with ExitStack() as stack:
        yield Matrix(account, web, stack)


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest, template: dict[str, Any]) -> dict[str, Result]:
    """The results of the selected cases, all of them run at once; the number of cases is reported at the end."""
    asked = [case for item in request.session.items for case in _cases_of(item)]
    began = time.monotonic()
    results = run_all(asked, template)
    request.config.stash[COUNTS].append(
        f"The fault matrix: {len(asked)} of its {len(CASES)} cases, in {time.monotonic() - began:.0f} s; "
        f"{sum(not result.broken for result in results.values())} kept every guarantee."
    )
    return results


@pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in CASES])
def test_no_fault_at_any_call_breaks_a_guarantee(case: Case, results: dict[str, Result]) -> None:
    result = results[str(case)]
    assert not result.broken, "\n".join([*result.broken, *result.story])


def _cases_of(item: pytest.Item) -> list[Case]:
    asked_for = isinstance(item, pytest.Function) and item.originalname == PER_CASE
    return [item.callspec.params["case"]] if asked_for else []  # type: ignore[attr-defined]


@pytest.mark.parametrize("live", LIVE)
@pytest.mark.parametrize(("address", "outcome"), [("staging", "StagingUnhealthy"), ("production", "RolledBack")])
def test_a_server_that_hangs_is_not_healthy(matrix: Matrix, live: str, address: str, outcome: str) -> None:
    with matrix.prepared(WAYS[0], live, timeoutSeconds=0.1) as calls:
        matrix.web.gates[address].clear()
        run = matrix.executed(calls, {})
        matrix.web.open_gates()
        assert run.execution.outcome == outcome
        assert not broken(run)
    if address == "production":
        assert f"But {live} fails its health check as production" in str(run.execution.cause)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_matrix_has_every_call_of_a_path(matrix: Matrix, way: Way) -> None:
    made = []
    for live in ("bittybot", "tao"):
        outcome, calls = matrix.calls_of(way, live)
        assert outcome == ("RolledBack" if way.rolls_back else "CUT_OVER")
        made.append(in_order(calls))
    assert made[0] == made[1]
    if made[0] != recorded().get(way.name):
        record(recorded() | {way.name: made[0]})
        pytest.fail("The workflow makes other calls now. They are in recorded_calls.json: run the tests again.")
