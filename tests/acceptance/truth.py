"""Whether an outcome tells the truth: what an execution says is compared with EC2, with what users get, and with the
pair's item."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.acceptance.executions import Execution, Json, until
from tests.acceptance.pair_on_aws import ROLES, PairOnAws, Places, Role

# A move of an address reaches users after some seconds. AWS publishes no bound.
PROPAGATION_SECONDS = 60


def require(pair: PairOnAws, execution: Execution, outcome: str, *, live: str) -> None:
    """Fail unless the execution ended with this outcome and left the pair sound, with this server live."""
    assert execution.outcome == outcome, execution
    require_sound(pair, live=live)
    require_true_output(pair, execution)


def require_sound(pair: PairOnAws, *, live: str) -> None:
    """Fail unless production is on this server and staging on the other, users get their answers from this server, and
    no execution holds the pair."""
    assert pair.places() == Places(live, pair.other(live))
    require_answers(pair, live)
    assert pair.holder() is None


def require_answers(pair: PairOnAws, server: str) -> None:
    """Fail unless users get the answers of this server, soon."""

    def answers() -> bool:
        answer = pair.answer("production")
        return answer is not None and answer.server == server

    until(answers, f"production's address answers from {server}", seconds=PROPAGATION_SECONDS)


def require_true_output(pair: PairOnAws, execution: Execution) -> None:
    """Fail unless the addresses in the output of a succeeded execution, if it has one, are where EC2 shows them."""
    if execution.output:
        assert execution.output["pair"] == pair.name
        assert {role: execution.output[role] for role in ROLES} == pair.addresses()


def require_last_outcome(pair: PairOnAws, execution: Execution) -> None:
    """Fail unless the pair's record names this execution's outcome as the last."""
    last: Json = json.loads(pair.item()["lastOutcome"])
    assert (last["execution"], last["outcome"]) == (execution.arn, execution.outcome)


def require_announced(pair: PairOnAws, execution: Execution) -> None:
    """Fail unless the history of an execution shows that it published a message and put an event."""
    tasks = [event.get("taskSucceededEventDetails", {}) for event in pair.history(execution.arn)]
    calls = {f"{task.get('resourceType')}:{task.get('resource')}".rpartition(":::")[2] for task in tasks}
    assert {"sns:publish", "events:putEvents"} <= calls, calls


def require_gap(pair: PairOnAws, execution: Execution) -> None:
    """Fail unless the output of a cutover says how requests to production were answered while the addresses moved."""
    assert "MeasureGap" in pair.entered(execution.arn)
    assert "gap" in execution.output, execution
    gap = execution.output["gap"]
    assert gap.keys() == {"requests", "failed", "longestMs", "newServerAt", "seconds"}
    assert 0 <= gap["failed"] < gap["requests"], gap
    assert 0 < gap["longestMs"] <= 1000 * gap["seconds"], gap


@contextmanager
def unchanged(pair: PairOnAws, *roles: Role) -> Iterator[None]:
    """Fail unless these addresses, else both, have the same associations after the block as before."""
    before = pair.addresses()
    yield
    after = pair.addresses()
    for role in roles or ROLES:
        assert after[role] == before[role]
