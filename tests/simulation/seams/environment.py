"""`os.environ`: each function sees its own variables, as its configuration in the template says."""

import os
from collections.abc import Iterator, MutableMapping

from tests.simulation.seams.present import is_running, present


class Environment(MutableMapping[str, str]):
    """The real environment outside of a run, and for code that belongs to no function."""

    def __init__(self, real: MutableMapping[str, str]) -> None:
        self._real = real

    def _variables(self) -> MutableMapping[str, str]:
        task = present().scheduler.running if is_running() else None
        own = task.group.environment if task else None
        return self._real if own is None else own

    def __getitem__(self, name: str) -> str:
        return self._variables()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._variables()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._variables()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables())

    def __len__(self) -> int:
        return len(self._variables())

    def copy(self) -> dict[str, str]:
        return dict(self._variables())


def replace() -> None:
    os.environ = Environment(os.environ)  # type: ignore[assignment]  # noqa: B003
