"""Systems Manager in this process: what a command does on its server is given by the test, and no process runs."""

from collections.abc import Callable
from typing import Any

from local.systems_manager import SystemsManager
from local.systems_manager_agents import Command
from local.systems_manager_runs import GivenRun, Result

# What a command does: a result, or what makes one when the command begins. It holds a lock of Systems Manager, and must
# not wait for another thread; to hold a command, let it hang, and `end` it.
Behaviour = Result | Callable[[Command], Result]


class GivenCommands(SystemsManager):
    """Every command succeeds at once and without output, unless the test says otherwise."""

    def __init__(self, state_of: Callable[[str], str | None], *, account: str, **options: Any) -> None:
        self._behaviours: dict[str | None, Behaviour] = {}
        super().__init__(state_of, self._run, account=account, **options)

    def runs(self, behaviour: Behaviour, *, step: str | None = None) -> None:
        """From now on, commands, or those of this step, do this."""
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
