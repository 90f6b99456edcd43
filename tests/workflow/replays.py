"""Replays what moto's engine has executed on the simulation's interpreter, which must do the same."""

import json
import time
from functools import cache
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from tests.simulation.interpreter import iso_8601
from tests.simulation.replay import differences
from tests.simulation.states import Machine
from tests.workflow.engine import REGION


class Replays:
    """How many executions were replayed so far, and how long that took."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self._known: dict[str, int] = {}

    def __str__(self) -> str:
        return f"Replayed by the simulation's interpreter: {self.count} executions, in {self.seconds:.1f} s."

    def skip(self) -> None:
        """Executions from before are not replayed."""
        for machine in _machines():
            self._known[machine.arn] = len(machine.executions)

    def run(self) -> list[str]:
        """What the interpreter does otherwise in the executions since then."""
        began = time.perf_counter()
        found = [
            f"{execution.exec_arn}: {difference}"
            for machine in _machines()
            for execution in machine.executions[self._known.get(machine.arn, 0) :]
            for difference in self._replay(machine.definition, execution.exec_worker.env)
        ]
        self.seconds += time.perf_counter() - began
        return found

    def _replay(self, definition: str, environment: Any) -> list[str]:
        events = list(environment.event_manager._history_event_list)  # its own copy takes longer than the replay
        # When a branch fails, moto's engine cancels the others in the middle of what they evaluate.
        if any("ParallelStateFailed" in str(event["type"]) for event in events):
            return []
        self.count += 1
        execution = environment.states.context_object.context_object_data["Execution"]
        started = iso_8601(execution["StartTime"].timestamp())
        return differences(_prepared(definition), events, {**execution, "StartTime": started})


def _machines() -> list[Any]:
    return list(stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID][REGION].state_machines)


@cache
def _prepared(definition: str) -> Machine:
    return Machine(json.loads(definition))
