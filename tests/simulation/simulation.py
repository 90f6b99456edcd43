"""One run: a seed, the pairs, and what they need of AWS, put together."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BytesIO
from typing import Any

from tests.simulation.executions import ABORTED, FAILED, TIMED_OUT, Execution, Executions
from tests.simulation.fates import Call, Fate
from tests.simulation.functions import Functions
from tests.simulation.observer import Observer
from tests.simulation.process import FOR_BOTO3
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Scheduler
from tests.simulation.seams import present
from tests.simulation.seams.present import Servers
from tests.simulation.synthesized import CUTOVER, KEPT, REPAIR, synthesized
from tests.simulation.task_states import WorkflowCalls
from tests.simulation.world.errors import AwsError
from tests.simulation.world.world import World

DAY = 86_400.0
# The statuses after which EventBridge starts the repair, by workflow: the stack's two rules.
REPAIRED = {CUTOVER: (ABORTED, TIMED_OUT, FAILED), REPAIR: (ABORTED, TIMED_OUT)}


class Simulation:
    """The present run, in its `with` block. `hooks` has what the functions of hooks answer to an event, by name.
    `on_effect` is called after each call of a function or a workflow that has reached AWS. `delivered_after` are the
    seconds after which EventBridge delivers each change of a status; None: as the schedule says."""

    web: Servers

    def __init__(self, schedule: Schedule, pairs: Mapping[str, Any]) -> None:
        stack = synthesized()
        self.schedule = schedule
        self.scheduler = scheduler = Scheduler(schedule)
        self.world = World(pairs, lambda: scheduler.now)
        self.web = self.world.web
        self.hooks: dict[str, Callable[[Any], Any]] = {}
        self.on_effect: list[Callable[[Call], None]] = []
        self.delivered_after: tuple[float, ...] | None = None
        functions = Functions(scheduler, stack.functions, FOR_BOTO3 | {"PAIRS_FILE": pairs_file(pairs)})
        calls = WorkflowCalls(scheduler, functions, self.answer)
        self.executions = Executions(scheduler, stack.machines, calls)
        self.executions.on_change.append(self._start_repair)
        self.observer = Observer(self)
        self._running = present.running(self)

    def __enter__(self) -> "Simulation":
        self._running.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.__exit__(None, None, None)

    def answer(self, call: Call, fate: Fate) -> Any:
        try:
            answer = self._answered(call, fate)
            self.observer.answered(call, answer)
            return answer
        finally:
            for each in self.on_effect:
                each(call)

    def _answered(self, call: Call, fate: Fate) -> Any:
        # What there is at the beginning has been so for long.
        as_of = max(self.scheduler.now - fate.age, START) if fate.age else None
        if call.service in ("sfn", "stepfunctions"):
            return self.executions.answer(call.action, call.parameters, as_of=as_of)
        if call.service == "lambda":
            return self._hook(call.parameters)
        return self.world.answer(call.service, call.action, call.parameters, as_of=as_of)

    def _hook(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What Lambda answers to the call of a hook's function."""
        name = parameters["FunctionName"]
        if name not in self.hooks:
            raise AwsError("ResourceNotFoundException", f"Function not found: {name}", 404)
        answer = self.hooks[name](json.loads(parameters["Payload"]))
        return {"StatusCode": 200, "Payload": BytesIO(json.dumps(answer).encode())}

    def run(self, seconds: float = DAY) -> None:
        """Until nothing is left to do, at most for so many seconds."""
        self.scheduler.run(until=self.scheduler.now + seconds)

    def _start_repair(self, execution: Execution) -> None:
        """EventBridge delivers the change of the status, as often and as late as the schedule says."""
        if execution.status not in REPAIRED.get(execution.machine, ()):
            return
        event = {"execution": execution.arn, "status": execution.status}
        for seconds in self._deliveries(execution) if self.delivered_after is None else self.delivered_after:
            self.scheduler.at(seconds, lambda: self._repair(execution, event))

    def _deliveries(self, execution: Execution) -> list[float]:
        call = Call(execution.name, "events", execution.status, execution.group.number("event"), "bus", 0)
        fate = self.schedule.fate(call)
        self.scheduler.note(call.key, fate.kind)
        moments = (fate.effect, fate.answer if fate.kind == "event twice" else None)
        return [moment for moment in moments if moment is not None]

    def _repair(self, execution: Execution, event: dict[str, str]) -> None:
        number = execution.group.number("repair")
        self.executions.start(REPAIR, event, f"{execution.name}-repair-{number}")


def pairs_file(pairs: Mapping[str, Any]) -> str:
    """The file that the functions read them from."""
    text = json.dumps(pairs)
    file = KEPT / f"pairs-{sha256(text.encode()).hexdigest()[:16]}.json"
    if not file.exists():
        new = file.with_name(f"{file.name}.{id(file)}")
        new.write_text(text)
        new.replace(file)
    return str(file)
