"""How the model of AWS refuses a call."""

from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """An error that a service answers: its code, its message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class NotModelled(Exception):
    """The model does not know this call, parameter or expression. A simulation must not go on with a guess."""


def require_known(action: str, parameters: Mapping[str, Any], known: frozenset[str]) -> None:
    if not parameters.keys() <= known:
        raise NotModelled(f"{action} with {', '.join(sorted(parameters.keys() - known))}")
