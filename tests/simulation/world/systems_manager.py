"""Systems Manager: the states and errors of `local.systems_manager`, in the time of the simulation."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from local.systems_manager_requests import Refused
from tests.given_commands import GivenCommands
from tests.simulation.world.errors import AwsError
from tests.simulation.world.machines import ACCOUNT

FIRST_RELEASE = "1"


class WorldCommands(GivenCommands):
    """The commands on the instances of a world. The ids of commands are the same in every run of a seed."""

    def __init__(self, state_of: Callable[[str], str | None], clock: Callable[[], float]) -> None:
        numbers = count(1)
        super().__init__(state_of, account=ACCOUNT, now=clock, new_id=lambda: f"{next(numbers):08x}-{'0' * 27}")

    @property
    def sent(self) -> bool:
        """Whether any command was sent."""
        return bool(self._commands)

    def answer(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return super().answer(action, request)
        except Refused as refused:
            raise AwsError(refused.code, refused.message) from None

    def release_of(self, instance_id: str) -> str:
        """The release that was last deployed to an instance."""
        deployed = (
            command.parameters["Release"]
            for command in reversed(self.commands)
            if command.instance_id == instance_id
            and command.status == "Success"
            and command.parameters["Step"] == "deploy"
        )
        return next(deployed, FIRST_RELEASE)
