"""How long users wait for a rollback in each emergency, compared with the least time that it must take.

`python -m benchmarks.rollback` measures only this, and prints it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Section, table
from local.emergencies import COLD, DEFAULT_CHECK, EMERGENCIES, LAST_CALL_SECONDS, Ended, site
from local.fault_layer import DRY_RUN
from local.load import REQUESTS_A_SECOND, THREADS_TAKE_TURNS_SECONDS
from local.summary import duration

LIMIT, LONGEST_SECONDS = 1.25, 10
# Preflight calls these while the health check runs.
BESIDE_THE_CHECK = ("DescribeInstanceStatus", f"AssociateAddress{DRY_RUN}", f"DisassociateAddress{DRY_RUN}")


@dataclass(frozen=True)
class Rollback:
    """An emergency that has ended, and the least that the health check of the idle server takes."""

    ended: Ended
    check_seconds: float

    @property
    def call_seconds(self) -> float:
        """The time of the calls to EC2 until production was on the right server, without those beside the check."""
        right = ("production", self.ended.emergency.server)
        moved = next(move.at for move in self.ended.moves if (move.role, move.server) == right)
        calls = [call for call in self.ended.calls if call.began < moved and call.action not in BESIDE_THE_CHECK]
        return sum(min(call.ended, moved) - max(call.began, self.ended.began) for call in calls)

    @property
    def least(self) -> float:
        return self.check_seconds + self.call_seconds

    @property
    def times_least(self) -> float:
        return self.ended.seconds / self.least


def measured(say: Callable[[str], None]) -> Section:
    """Every emergency once, each from the same start."""
    rollbacks = []
    with site() as there:
        cold = there.run(COLD)
        say(f"   {COLD.title}: {cold.seconds:.2f} s")
        for emergency in EMERGENCIES:
            ended = there.run(emergency)
            # An execution that bakes has checked the servers: a rollback that asks it checks none.
            checked = ended.other if emergency.bakes and ended.other else ended.execution
            rollback = Rollback(ended, least_of_a_check(there.aws.history(checked.arn)))
            say(f"   {emergency.title}: {ended.seconds:.2f} s, {rollback.times_least:.2f} times the least")
            rollbacks.append(rollback)
    return Section("How long users wait for a rollback", _text(rollbacks, cold))


def least_of_a_check(history: Sequence[Mapping[str, Any]]) -> float:
    """The intervals between the probes of the idle server, and the time of the last probe, from an execution's history.

    A check cannot take less: the first probe is due at once, and the last one must be answered.
    """
    outputs = (json.loads(event.get("taskSucceededEventDetails", {}).get("output", "null")) for event in history)
    payloads = (output.get("Payload") for output in outputs if isinstance(output, dict))
    result = next(each for each in payloads if isinstance(each, dict) and each.get("address") == "staging")
    probes = result["checks"][0]["probes"]
    return float(DEFAULT_CHECK["intervalSeconds"] * (len(probes) - 1) + probes[-1]["milliseconds"] / 1000)


def _text(rollbacks: Sequence[Rollback], cold: Ended) -> str:
    worst = max(rollbacks, key=lambda rollback: rollback.times_least)
    baking = next(rollback for rollback in rollbacks if rollback.ended.emergency.bakes)
    intro = (
        f"A bad release is live, which answers its health check but not users. The time is from `StartExecution` with "
        f'`{{"pair": "web", "rollback": true}}` to the first good answer of the right server through the production '
        f"address, with {REQUESTS_A_SECOND} requests a second. *Least* is the least that it must take: the health "
        f"check of the idle server with the default keys (2 intervals of 1 s, and the time of the last probe), and the "
        f"calls to EC2 until production has moved, one after the other. Calls that are made while the health check "
        f"runs do not count, and neither does any time of Step Functions, Lambda and DynamoDB. The limits are {LIMIT} "
        f"times *least*, and {LONGEST_SECONDS} s.\n\n"
        f"If the lock is dead, the time begins when the last call of the dead holder is over, {LAST_CALL_SECONDS} s "
        f'after it was stopped. If there is no record, the input is `{{"pair": "web", "serverName": "tao", '
        f'"emergency": true}}`. An execution that bakes need not check a server before it goes back. Its *least* is '
        f"that of the others all the same, because its calls to EC2 alone take {duration(baking.call_seconds)}: for "
        f"the rest of the time, it has not yet read that someone asks. All functions are warm. If all are cold and "
        f"nothing else bars the rollback, users are served after {cold.seconds:.1f} s on this machine."
    )
    rows = {}
    for each in rollbacks:
        bold = "**" if each is worst else ""
        rows[each.ended.emergency.title] = [
            f"{each.ended.seconds:.2f} s",
            f"{each.least:.2f} s",
            duration(each.call_seconds),
            f"{bold}{each.times_least:.2f}{bold}",
        ]
    head = ["when the rollback is started", "users are served after", "least", "of it calls to EC2", "times least"]
    return f"{intro}\n\n{table(head, rows)}"


def main() -> None:
    sys.setswitchinterval(THREADS_TAKE_TURNS_SECONDS)
    print(measured(lambda line: print(line, flush=True)).text)


if __name__ == "__main__":
    main()
