"""Turns pydantic's errors into lines for a person: `pairs.web.healthCheck.port: found "80"; allowed: ...`."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from stacks.configuration.allowed import Place, Section, sections_in, words_of
from stacks.configuration.problems import line, meant, path_of, shown


class Report:
    """The problems of a document that is not a valid `root`."""

    def __init__(self, root: type[Section], document: Any) -> None:
        self._document, self._sections = document, [*sections_in(root)]
        self._kinds = {section.kind for _, section in self._sections}

    def lines(self, errors: Iterable[Any]) -> list[str]:
        """A default that follows from a wrong key is not a problem of its own."""
        return [self._line(each) for each in errors if each["type"] != "default_factory_not_called"]

    def _line(self, error: Any) -> str:
        """An error's `loc` has more than keys: the kind of the section that was chosen, an index (even if one object is
        given for a list), and `[key]` after a name that is wrong itself."""
        path, place, kind, value, is_name = "", Place(), "", self._document, False
        for part in error["loc"]:
            is_key = isinstance(value, Mapping) and part in value
            if isinstance(part, int):
                path, value = (path, value) if isinstance(value, Mapping) else (f"{path}[{part}]", value[part])
            elif part in self._kinds and not is_key:
                kind = part
            elif part == "[key]" and not is_key:
                is_name = True
            else:
                path, place, value = path_of(path, part), (*place, part), value[part] if is_key else None
        if error["type"] == "missing":
            return line(path, "nothing", words_of(self._choice(place)[kind].model_fields[place[-1]]))
        if error["type"] == "extra_forbidden":
            return line(path, *self._unknown(place, kind, error["input"]))
        allowed, found = error["ctx"]["error"]
        return line(path, f"the name {shown(error['input'])}" if is_name else found or shown(error["input"]), allowed)

    def _choice(self, place: Place) -> dict[str, type[Section]]:
        """The sections, by kind, that the object that has the key at `place` may be."""
        return {
            section.kind: section
            for at, section in self._sections
            if len(at) == len(place) - 1 and all(key in ("*", given) for key, given in zip(at, place, strict=False))
        }

    def _unknown(self, place: Place, kind: str, value: object) -> tuple[str, str]:
        """What was found, and what is allowed, if a key does not belong at this place."""
        key, choice = place[-1], self._choice(place)
        if kinds := [section.kind for section in choice.values() if key in section.model_fields]:
            return f"{shown(value)} with {kind}", f"only with {' or '.join(kinds)}"
        if instead := choice[kind].former.get(key):
            return "a key of an earlier version", instead
        known = choice[kind].model_fields
        homes = [(*at, key) for at, section in self._sections if key in section.model_fields]
        if near := [home for home in homes if home[0] == place[0]]:
            homes = [tuple(place[1] if part == "*" else part for part in home) for home in near]
        paths = " or ".join(dict.fromkeys(reduce(path_of, home, "") for home in homes))
        hint = f"; it belongs to {'' if near else 'the context: '}{paths}" if paths else meant(key, known)
        return "an unknown key", f"{', '.join(known)}{hint}"
