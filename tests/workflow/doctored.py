"""Doctors a true history of an execution, as a careful forger would: what it breaks, it makes consistent again."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

Event = dict[str, Any]


class History:
    """The events of an execution, and DescribeExecution's answer. `previous` is by an event's position in `events`."""

    def __init__(self, described: Event, events: list[Event]) -> None:
        self.described, self.events = deepcopy(described), deepcopy(events)
        by_id = {event["id"]: event for event in self.events}
        self._previous = {id(event): by_id.get(event["previousEventId"]) for event in self.events}

    def of_state(self, name: str) -> list[Event]:
        """The events of a state that runs once, from its entry to its exit."""
        entered = next(event for event in self.events if _name(event) == name)
        events = [entered]
        while not (events[-1]["type"].endswith("StateExited") and _name(events[-1]) == name):
            events.append(next(event for event in self.events if self._previous[id(event)] is events[-1]))
        return events

    def event(self, kind: str, state: str) -> Event:
        return next(event for event in self.of_state(state) if event["type"] == kind)

    def edit(self, event: Event, change: Callable[[Any], object], key: str = "output") -> None:
        """Changes the JSON of an event's details in place."""
        details = details_of(event)
        value = json.loads(details[key])
        change(value)
        details[key] = json.dumps(value)

    def answer(self, state: str, change: Callable[[Any], object]) -> None:
        """Changes what the function of a state has answered."""
        self.edit(self.event("TaskSucceeded", state), lambda result: change(result["Payload"]))

    def end(self, change: Callable[[Any], object]) -> None:
        """Changes the output of the execution wherever it is."""
        for event in (self.events[-1], self.events[-2]):
            self.edit(event, change)
        output = json.loads(self.described["output"])
        change(output)
        self.described["output"] = json.dumps(output)

    def remove(self, events: list[Event]) -> None:
        first, last = events[0], events[-1]
        for event in self.events:
            if self._previous[id(event)] is last:
                self._previous[id(event)] = self._previous[id(first)]
        self.events = [event for event in self.events if not any(event is each for each in events)]

    def insert(self, events: list[Event], *, after: Event) -> None:
        for event in self.events:
            if self._previous[id(event)] is after:
                self._previous[id(event)] = events[-1]
        for event, previous in zip(events, [after, *events], strict=False):
            self._previous[id(event)] = previous
        place = next(number for number, event in enumerate(self.events) if event is after) + 1
        self.events[place:place] = events

    def move(self, state: str, *, before: str) -> None:
        events = self.of_state(state)
        self.remove(events)
        entered = next(event for event in self.events if _name(event) == before)
        previous = self._previous[id(entered)]
        assert previous is not None
        self.insert(events, after=previous)

    def smooth(self) -> None:
        """New ids, links and times, and each state is entered with what the event before it has handed on."""
        times = sorted(event["timestamp"] for event in self.events)
        values: dict[int, str] = {}
        for number, (event, time) in enumerate(zip(self.events, times, strict=True), 1):
            previous, details = self._previous[id(event)], details_of(event)
            event |= {"id": number, "previousEventId": previous["id"] if previous else 0, "timestamp": time}
            given = str(values.get(id(previous), self.described["input"]))
            if event["type"].endswith("StateEntered"):
                details["input"] = given
            result = json.loads(given) if previous and previous["type"] == "TaskSucceeded" else {}
            if event["type"] == "TaskStateExited" and isinstance(result.get("Payload"), dict):
                details["output"] = json.dumps(result["Payload"])
            values[id(event)] = details.get("output") or details.get("input") or given

    def shift(self, event: Event, seconds: float) -> None:
        event["timestamp"] += timedelta(seconds=seconds)


def details_of(event: Event) -> Event:
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def _name(event: Event) -> str | None:
    return details_of(event).get("name")
