"""Systems Manager in place of moto's: what a command does on its server is given by the test."""

import json
from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import SSMException

from local.systems_manager import SystemsManager
from local.systems_manager_requests import Refused
from tests.given_commands import GivenCommands


def given_commands(region: str, now: Callable[[], float]) -> GivenCommands:
    """For moto's instances of a Region."""

    def state_of(instance_id: str) -> str | None:
        instances = ec2_backends[DEFAULT_ACCOUNT_ID][region].all_instances()
        return next((str(each._state.name) for each in instances if each.id == instance_id), None)

    return GivenCommands(state_of, account=DEFAULT_ACCOUNT_ID, now=now)


def answering(systems_manager: SystemsManager, action: str) -> Callable[[Any], ActionResult]:
    """An action of moto's Systems Manager that this one answers."""

    def answer(call: Any) -> ActionResult:
        try:
            return ActionResult(systems_manager.answer(action, json.loads(call.body)))
        except Refused as refused:
            raise SSMException(refused.code, refused.message) from refused

    return answer
