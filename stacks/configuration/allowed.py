"""What a key of the configuration allows: in words, for messages and documents, and as constraints of pydantic.
`port: Annotated[int, whole_number(1, 65535)] = 80` is a key with its type, what it allows and its default. The
docstring below a key is for the documents. It may end with `Default: ...`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, get_args, get_origin

from annotated_types import GroupedMetadata, Predicate
from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError

from domain.pair import NAME_PATTERN
from stacks.configuration.problems import problem, shown

LEFT_OUT: Any = object()
# The default of a key whose value follows from other keys: its validator gets LEFT_OUT.
FOLLOWS: Any = Field(default_factory=lambda: LEFT_OUT, validate_default=True)
Place = tuple[str, ...]
Broken = tuple[tuple[str | int, ...], PydanticKnownError]  # where a value breaks a rule, and how
Rule = Callable[[Any], Iterable[Broken]]


class Section(BaseModel):
    """An object of the configuration; its fields are its keys. If a value may be one of several sections, their `kind`
    tells them apart: `only with protocol "HTTP"`. `former` says what to do with a key of an earlier version."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
    kind: ClassVar[str] = ""
    former: ClassVar[Mapping[str, str]] = {}


class Allowed(GroupedMetadata):
    """What a value must be: in words, as constraints of pydantic, and as a rule between its parts. It is never null.
    The rule gets the value as it was written, so that it is checked even if a part is wrong."""

    def __init__(self, words: str, *constraints: Any, rule: Rule = lambda _: ()) -> None:
        self.words, self._constraints, self._rule = words, constraints, rule

    def __iter__(self) -> Iterator[Any]:
        return iter((*self._constraints, WrapValidator(self._validated)))

    def _validated(self, value: Any, validate: Callable[[Any], Any]) -> Any:
        valid, errors = None, list[Any]()
        if value is None:
            raise problem(self.words)
        try:
            valid = validate(value)
        except ValidationError as error:
            errors = error.errors()
            if any(not each["loc"] and each["type"] != "assertion_error" for each in errors):
                raise problem(self.words) from None
        for at, broken in self._rule(value):
            errors.append({"type": broken.type, "ctx": broken.context, "loc": at, "input": value})
        if errors:
            raise ValidationError.from_exception_data("configuration", errors)
        return valid


def words_of(key: FieldInfo) -> str:
    return next(each.words for each in key.metadata if isinstance(each, Allowed))


def text(words: str, pattern: str, *more: Any) -> Allowed:
    """The pattern must be valid in Rust and in JSON Schema: it has no look-around."""
    return Allowed(words, Field(pattern=f"^(?:{pattern})$"), *more)


def printable(called: str, longest: int) -> Allowed:
    words = f"{called} of 1 to {longest} printable characters"
    return Allowed(words, Field(min_length=1, max_length=longest), Predicate(str.isprintable))


def one_of(*choices: str) -> Allowed:
    *most, last = map(shown, choices)
    return Allowed(f"{', '.join(most)} or {last}")


def whole_number(lowest: int, highest: int) -> Allowed:
    return Allowed(f"a whole number from {lowest} to {highest}", Field(ge=lowest, le=highest))


def list_of(lowest: int, highest: int, called: str) -> Allowed:
    def each_once(values: Sequence[Any]) -> Iterator[Broken]:
        for index, value in enumerate(values):
            if isinstance(value, str) and (first := values.index(value)) < index:
                yield (index,), problem("each once", f"{shown(value)}, which is also at [{first}]")

    length = Field(min_length=lowest, max_length=highest)
    return Allowed(f"a list of {lowest} to {highest} {called}", length, rule=each_once)


def object_by_name(words: str, lowest: int, highest: int) -> Allowed:
    def names_differ(named: Mapping[str, Any]) -> Iterator[Broken]:
        names: dict[str, str] = {}
        for name in named:
            if (other := names.setdefault(name.lower(), name)) != name:
                yield (name,), problem("names that differ in more than case", f"a name like {shown(other)}")

    return Allowed(words, Field(min_length=lowest, max_length=highest), rule=names_differ)


def some_of(*names: str, most: int = 1) -> Rule:
    """At least one of these keys must be given, and at most so many."""

    def rule(given: Mapping[str, Any]) -> Iterator[Broken]:
        present = [name for name in names if name in given]
        if not 1 <= len(present) <= most:
            words = f"exactly one of {', '.join(names)}" if most == 1 else f"{', '.join(names)} or both"
            yield (), problem(words, " and ".join(map(shown, present)) or "none of them")

    return rule


def section(*sections: type[Section], rule: Rule = lambda _: ()) -> Allowed:
    keys = " or the keys ".join(", ".join(each.model_fields) for each in sections)
    return Allowed(f"an object with the keys {keys}", rule=rule)


BOOLEAN = Allowed("true or false")
NAME = text('a name of 1 to 64 letters, digits, "-", "_" and ".", the first a letter or a digit', NAME_PATTERN)


def by_kind(kind: Callable[[Mapping[str, Any]], str]) -> Discriminator:
    """Chooses one of several sections for a value: by its keys, or as what it is already."""
    return Discriminator(lambda value: kind(value) if isinstance(value, Mapping) else getattr(value, "kind", None))


def sections_in(annotation: Any, place: Place = ()) -> Iterator[tuple[Place, type[Section]]]:
    """Every section in a type, with the keys that lead to it. "*" means any name: `("pairs", "*")`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield place, annotation
        for name, key in annotation.model_fields.items():
            yield from sections_in(key.annotation, (*place, name))
    for part in get_args(annotation):
        yield from sections_in(part, (*place, "*") if get_origin(annotation) is dict else place)
