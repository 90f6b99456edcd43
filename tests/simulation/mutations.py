"""Breaks the product on purpose, in the simulation's process only: a defect that the simulation does not find shows
what it lacks. `mutants.py` has the defects, `test_mutations.py` runs them.

A defect is a change of a module's source text, applied when it is imported, or of a workflow's definition. A change
that does not match exactly once is an error: the product has changed since.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

LAMBDAS = Path(__file__).parents[2] / "lambdas"
Definition = dict[str, Any]
Change = Callable[[Definition], Definition]


@dataclass(frozen=True)
class Mutation:
    """A defect, in a sentence. `where` is a module, such as `aws.addresses`, with its `texts`, old and new in turn; or
    a workflow with its `changes`."""

    name: str
    what: str
    where: str
    texts: Sequence[str] = ()
    changes: Sequence[Change] = ()

    def apply(self) -> None:
        """For the rest of this process, before the module or the definition is read."""
        if self.texts:
            if self.where in sys.modules:
                raise RuntimeError(f"{self.where} was imported before")
            sys.meta_path.insert(0, _Finder(self))
        if self.changes:
            from tests.simulation import synthesized  # noqa: PLC0415  # it imports what a mutation may change

            synthesized.changes.append(self.changed)

    def changed(self, workflow: str, definition: Definition) -> Definition:
        for change in self.changes if workflow == self.where else ():
            definition = change(definition)
        return definition

    def source(self, text: str) -> str:
        for old, new in zip(self.texts[::2], self.texts[1::2], strict=True):
            text = _replaced(text, old, new, self.where)
        return text


class _Finder(MetaPathFinder):
    """Finds the module of a mutation, with its source changed."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._mutation.where:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and spec.origin:
            spec.loader = _Loader(name, spec.origin, self._mutation)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutation: Mutation) -> None:
        super().__init__(name, path)
        self._mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return compile(self._mutation.source(Path(path).read_text()), path, "exec")


def _replaced(text: str, old: str, new: str, where: str, times: int = 1) -> str:
    if text.count(old) != times:
        raise LookupError(f"{where} has {text.count(old)} times, not {times}: {old}")
    return text.replace(old, new)


# Changes of definitions.


def state_of(definition: Definition, name: str) -> Definition:
    """The state of this name, also in a branch. Raises LookupError."""
    states: Definition = definition["States"]
    if name in states:
        state: Definition = states[name]
        return state
    for each in states.values():
        for branch in each.get("Branches", ()):
            try:
                return state_of(branch, name)
            except LookupError:
                continue
    raise LookupError(f"no state {name}")


def _of(name: str, change: Callable[[Definition], None]) -> Change:
    """A change of one state."""

    def changed(definition: Definition) -> Definition:
        before = json.dumps(definition)
        change(state_of(definition, name))
        if json.dumps(definition) == before:
            raise LookupError(f"{name} stays the same")
        return definition

    return changed


def leads(state: str, to: str) -> Change:
    """A state leads to another one; of a Choice, by default."""
    return _of(state, lambda fields: fields.update({"Default" if fields["Type"] == "Choice" else "Next": to}))


def catches(state: str, number: int, to: str) -> Change:
    """The catcher of this number leads to another state."""
    return _of(state, lambda fields: fields["Catch"][number].update(Next=to))


def chooses(state: str, number: int, to: str) -> Change:
    """The rule of this number leads to another state."""
    return _of(state, lambda fields: fields["Choices"][number].update(Next=to))


def without(state: str, key: str) -> Change:
    """A state has a field no longer, such as Retry or Catch."""
    return _of(state, lambda fields: fields.pop(key))


def without_argument(state: str, key: str) -> Change:
    return _of(state, lambda fields: fields["Arguments"].pop(key))


def payload(state: str, key: str, value: Any) -> Change:
    """A state sends another value to its function."""

    def change(fields: Definition) -> None:
        fields["Arguments"]["Payload"][key]  # it has one
        fields["Arguments"]["Payload"][key] = value

    return _of(state, change)


def text(state: str, old: str, new: str, *, times: int = 1) -> Change:
    """Text in the fields of a state, as in the definition, which has it so many times."""

    def change(fields: Definition) -> None:
        quoted_old, quoted_new = (json.dumps(each)[1:-1] for each in (old, new))
        changed = json.loads(_replaced(json.dumps(fields), quoted_old, quoted_new, state, times))
        fields.clear()
        fields.update(changed)

    return _of(state, change)
