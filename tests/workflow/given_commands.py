"""Systems Manager in this process: what a command does on its server is given by the test, and no process runs."""

import json
from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import SSMException

from local.systems_manager import SystemsManager
from local.systems_manager_agents import Command
from local.systems_manager_requests import Refused
from local.systems_manager_runs import GivenRun, Result

# What a command does: a result, or what makes one when the command begins. It holds a lock of Systems Manager, and must
# not wait for another thread; to hold a command, let it hang, and `end` it.
Behaviour = Result | Callable[[Command], Result]


class GivenCommands(SystemsManager):
    """Every command succeeds at once and without output, unless the test says otherwise."""

    def __init__(self, region: str, now: Callable[[], float]) -> None:
        self._behaviours: dict[str | None, Behaviour] = {}
        self._region = region
        super().__init__(self._state_of_instance, self._run, account=DEFAULT_ACCOUNT_ID, now=now)

    def runs(self, behaviour: Behaviour, *, step: str | None = None) -> None:
        """From now on, commands, or those of this step, do this. A second takes a hundredth of a second."""
        self._behaviours[step] = behaviour

    def begin_anew(self) -> None:
        """For the next test: as at the beginning."""
        self.forget()
        self._behaviours.clear()
        self.agents.manner.clear()
        self.hidden_calls, self.hidden_seconds = 1, 0.0

    def _run(self, command: Command, began: float) -> GivenRun:
        step = command.parameters.get("Step")
        behaviour = self._behaviours.get(step, self._behaviours.get(None, Result()))
        result = behaviour if isinstance(behaviour, Result) else behaviour(command)
        return GivenRun(result, began=began)

    def _state_of_instance(self, instance_id: str) -> str | None:
        instances = ec2_backends[DEFAULT_ACCOUNT_ID][self._region].all_instances()
        return next((str(each._state.name) for each in instances if each.id == instance_id), None)


def answering(systems_manager: SystemsManager, action: str) -> Callable[[Any], ActionResult]:
    """An action of moto's Systems Manager that this one answers."""

    def answer(call: Any) -> ActionResult:
        try:
            return ActionResult(systems_manager.answer(action, json.loads(call.body)))
        except Refused as refused:
            raise SSMException(refused.code, refused.message) from refused

    return answer
