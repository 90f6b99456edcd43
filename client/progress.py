"""What the history of a running execution shows: the running states, the results of health checks, the failures; and
what the item of its lock adds: the command that runs, the approval. An event's type and the shape of its data say what
it means, not its state's name, so a workflow may have new states (API reference of Step Functions, HistoryEvent)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from client.screen import JsonObject, as_object, duration, plain, split
from domain.lock import Lock, object_of

ENDED = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")
WAITS = {"WaitForLastCall": "waiting until the last call of the stopped execution is over",
         "WaitForAddresses": "waiting until the changes of the last execution show",
         "WaitForHolder": "waiting for the other execution"}  # fmt: skip
FAILED_TRY = ("TaskFailed", "TaskStartFailed", "TaskSubmitFailed", "TaskTimedOut", "EvaluationFailed")
APPROVAL = "WaitForApproval"
# The states that run commands, and how the names of their steps begin.
STEPS = {"DeployRelease": "deploy", "BeforeCutover": "beforeCutover", "AfterCutover": "afterCutover",
         "AfterRollback": "afterRollback", "EndCommand": ""}  # fmt: skip


class Line(NamedTuple):
    """What an event shows. `good` is None if the event is neither good nor bad."""

    text: str
    good: bool | None = None


class Progress:
    """Reads events in order, and keeps what they show. The last event was `seconds` after the execution began, `doing`
    has words about the running state, `definition` the workflow's states by name, once there was a failure. Of a state,
    `asked` has the parameters of its last call, `results` the result, and `errors` the error of each try since its
    entry, empty if it passed, after an empty text."""

    def __init__(self, definition: JsonObject | None = None) -> None:
        self.definition, self.plan = definition, JsonObject()
        self.began: datetime | None = None
        self.last, self.seconds, self.ended, self.doing = 0, 0.0, False, ""
        self.running, self.states, self.health_checks = list[str](), list[JsonObject](), list[JsonObject]()
        self.asked, self.results = dict[str, JsonObject](), dict[str, JsonObject]()
        self.errors = defaultdict[str, list[str]](lambda: [""])
        self.state_of = dict[int, str]()  # by the id of an event
        self._seen, self._repeats, self._failed = set[str](), False, ""

    def read(self, event: Mapping[str, Any]) -> list[Line]:
        """Take the next event. Returns the lines to print about it."""
        self.began, self.last, kind = self.began or event["timestamp"], event["id"], str(event["type"])
        self.seconds, self.ended = (event["timestamp"] - self.began).total_seconds(), kind in ENDED
        details, alone = details_of(event), self.running[0] if len(self.running) == 1 else ""
        state = str(details.get("name") or self.state_of.get(event.get("previousEventId", 0)) or alone)
        self.state_of[event["id"]], lines = state, list[Line]()
        # A Choice takes no time, and the next state shows its result.
        if kind.endswith("StateEntered") and kind != "ChoiceStateEntered":
            lines += self._entered(state, is_wait=kind == "WaitStateEntered")
        elif kind.endswith("StateExited") and state in self.running:
            index = self.running.index(state)
            # A branch that failed, or that this failure cancelled, has no exit event of its own.
            del self.running[index : None if kind.startswith(("Parallel", "Map")) else index + 1]
        elif kind in FAILED_TRY or ("error" in details and not kind.startswith("Execution")):
            error, cause = str(details.get("error", kind)), details.get("cause", "")
            sentences, _ = split(f"{error}: {object_of(cause).get('errorMessage', cause)}".removesuffix(": "))
            failed = f"{plain(state) or 'a step'} failed: {plain(sentences, 300)}"
            self.errors[state].append(error)
            if error == "DynamoDB.ConditionalCheckFailedException":
                lines += [Line(f"{plain(state)}: another execution holds the pair")] * (not self._repeats)
            elif failed != self._failed:  # the same failure again is only another try
                lines.append(Line(failed, good=False))
            self._failed = failed
        elif kind == "TaskScheduled":
            self.asked[state] = object_of(details.get("parameters"))
            lines += self._scheduled(state, as_object(self.asked[state].get("Payload")))
        elif kind == "TaskSucceeded":
            self.results[state] = object_of(details.get("output"))
            payload = as_object(self.results[state].get("Payload"))
            passed = payload.get("healthy", True) is payload.get("passed", True) is True
            self.errors[state].append("" if passed else "it has not passed")
            lines += self._succeeded(payload)
        return lines

    @property
    def now(self) -> str:
        """The states that run now, as one text, with an outer state before its inner states."""
        idle = "between two states" if self.states else "starting"
        first, *others = (plain(f"{state}: {self.doing}".removesuffix(": ")) for state in self.running or [idle])
        return f"{first}: {', '.join(others)}" if others else first

    def _entered(self, state: str, *, is_wait: bool) -> Iterator[Line]:
        """Keep a state. In a loop, which repeats a wait or the same state, only its first round is shown and kept."""
        repeats_itself = bool(self.states) and self.states[-1]["name"] == state
        self._repeats = state in self._seen and (self._repeats or is_wait or repeats_itself)
        self._seen.add(state)
        self.errors.pop(state, None)
        self._failed, self.doing = "", WAITS.get(state, "")
        self.running.append(state)
        if not self._repeats:
            self.states.append({"name": state, "seconds": round(self.seconds, 3)})
            yield Line(plain(f"{state}: {self.doing}".removesuffix(": ")))

    def _scheduled(self, state: str, payload: JsonObject) -> Iterator[Line]:
        """A try, and if it is not the state's first, which one; of how many, if the definition says that."""
        if state and (error := self.errors[state][-1]):
            number = self.errors[state].count(error) + 1
            retries = as_object((self.definition or {}).get(state)).get("Retry", [])
            retry = next((each for each in retries if {error, "States.ALL"} & set(each.get("ErrorEquals", []))), None)
            # 3 is the default in Amazon States Language.
            of = f"try {number}" if retry is None else f"{number} of {int(retry.get('MaxAttempts', 3)) + 1}"
            yield Line(f"{plain(state)}: trying again, {of}", good=False)
        if isinstance(until := payload.get("until"), str):
            self.doing = f"until {plain(until, 40)}"
            if not self._repeats:
                yield Line(f"{plain(state)}: {self.doing}")

    def _succeeded(self, payload: JsonObject) -> Iterator[Line]:
        # Of a pair whose production is on no server, `live` is null.
        if "live" in payload and all(isinstance(payload.get(key), dict) for key in ("idle", "production", "staging")):
            before, self.plan = self.plan, payload
            if (reason := payload.get("reason")) and reason != before.get("reason"):
                yield Line(f"plan: {plain(reason)}")
        if "moment" in payload and isinstance(payload.get("commands"), list):
            for command in filter(as_object, payload["commands"]):
                yield Line(command_in_words(command), str(command.get("status")).upper() in ("SUCCESS", "SUCCEEDED"))
        server = plain(payload.get("server") or "the server")
        if "hasRelease" in payload:
            says = f"has release {plain(payload['release'])}" if payload.get("release") else "does not say its release"
            yield Line(f"{server} {says}")
        if "healthy" in payload and not self._repeats:
            checks = payload["checks"] if isinstance(payload.get("checks"), list) else []
            report = {**payload, "checks": [each for each in checks if isinstance(as_object(each).get("probes"), list)]}
            self.health_checks.append(report)
            good = payload["healthy"] is True
            through = " ".join(plain(report[key]) for key in ("address", "publicIp") if report.get(key))
            health = f"is {'healthy' if good else 'not healthy'} through {through}".removesuffix(" through ")
            yield Line(f"{server} {health}", good)
            for check in report["checks"]:
                probes = ", ".join(_probe(probe) for probe in check["probes"] if isinstance(probe, dict))
                yield Line(f"{plain(check.get('check', 'probes'))}: {probes or 'none'}", good)


def details_of(event: Mapping[str, Any]) -> JsonObject:
    """Each type of event has its own key for its details."""
    return next((as_object(value) for key, value in event.items() if key.endswith("EventDetails")), {})


def command_in_words(command: JsonObject) -> str:
    """`deploy on tao: Success after 41.0 s | Release 7 is up`. What the server wrote is behind the bar, on one line."""
    step, server, status = (plain(command.get(key) or "unknown", 64) for key in ("step", "server", "status"))
    seconds = command.get("seconds") if command.get("ended", True) else None
    line = plain(command.get("line") or "", 200)
    took = f" after {duration(seconds)}" if isinstance(seconds, int | float) and 0 <= seconds < 1e6 else ""
    return f"{step} on {server}: {status}{took}{f' | {line}' if line else ''}"


def approval_in_words(lock: Lock, command: Callable[..., str]) -> str:
    """Until when it waits, and the two commands that answer; `command` makes a command from its words."""
    answers = [command(answer, "--pair", plain(lock.pair)) for answer in ("approve", "reject")]
    return "\n".join([f"waits for approval until {plain(lock.approves_until, 40)}", *answers])


def doing(state: str, lock: Lock, command: Callable[..., str]) -> str:
    """What the holder of the lock does in this state; empty if the item does not say it yet."""
    if state == APPROVAL:
        return approval_in_words(lock, command) if lock.approval_token else ""
    ran = lock.command or {}
    return command_in_words(ran) if ran and str(ran.get("step")).startswith(STEPS[state]) else ""


def states_of(definition: object) -> JsonObject:
    """The states of a definition by name, with those in branches."""
    states = as_object(as_object(definition).get("States"))
    branches = [branch for state in states.values() for branch in as_object(state).get("Branches", [])]
    return {name: state for each in branches for name, state in states_of(each).items()} | states


def _probe(probe: Mapping[str, Any]) -> str:
    answer = ": ".join(plain(probe[key], 120) for key in ("status", "error") if probe.get(key) is not None)
    milliseconds = probe.get("milliseconds")
    return (answer or "nothing") + (f" in {milliseconds:.0f} ms" if isinstance(milliseconds, int | float) else "")
