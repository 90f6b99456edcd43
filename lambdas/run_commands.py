"""DeployRelease, BeforeCutover, AfterCutover, AfterRollback: runs what a pair has configured for a moment of a release.
EndCommand, EndCommandOfHolder: cancels a command that may still be running, and waits for its end. Each runs once: it
is in the item of the lock before it is sent, for a call after one that died. Two of a pair never run together."""

import json
import math
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from aws.calls import Clock, Sleep
from aws.hook_function import answered
from aws.records import LockItem, RollbackRequest
from aws.run_command import NotSent, RunCommand
from domain.errors import DeployFailed, HookFailed, LockLost, RecordUnavailable, RollbackRequested
from domain.events import PairEvent, read
from domain.pair import Json, Pair, deployed_pairs
from domain.plan import refuse_redriven
from domain.release_commands import HOOKS, RESERVE_SECONDS, SENT_WITHIN_SECONDS, Command, Moment, Step, steps
from domain.text import shortened

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 3.0, 1.3
HURRIED_SECONDS = 10  # for all hooks of a moment of a rollback
CANCELLING_SECONDS = 10  # for the end of a command whose time was up; a rollback does not wait for it
THROTTLED_SECONDS = 60  # a throttled command is sent again for so long
LATER = {"deploy": HOOKS, **{moment: HOOKS[number:] for number, moment in enumerate(HOOKS, 1)}}  # moments
LONGEST_WARNING = 600  # of as many hooks as there may be, several times in a message of at most 256 KiB

logger = Logger()


@dataclass(frozen=True)
class RunCommandsEvent(PairEvent):
    """`live` is the live server at that `moment`, null if production is on none; `idle` counts only then. If `hurried`,
    all hooks get 10 s. If `tolerant`, a failed hook is a warning. If `redriven`, only hooks are undone."""

    lock: dict[str, str]  # as in `RollbackRequest`
    moment: Moment
    idle: str | None
    live: str | None
    release: str | None = None
    hurried: bool = False
    tolerant: bool = False
    redriven: bool = False


@dataclass(frozen=True)
class EndCommandEvent(PairEvent):
    """`end` is true. `lock` names the execution whose command is to end."""

    lock: dict[str, str]
    end: bool


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, sleep: Sleep = time.sleep, clock: Clock = time.time) -> Json:
    """Returns `{"moment", "commands", "warnings"}`: `Command.result` of each, and tolerated failures in words. Raises
    DeployFailed, HookFailed, RollbackRequested (after it has cancelled the command), LockLost, Redriven,
    CommandUnavailable, RecordUnavailable. With `end`, returns `{}` once no command of the execution can be running."""
    if "end" in event:
        ending = read(EndCommandEvent, event)
        Commands(ending.lock, deployed_pairs()[ending.pair], sleep, clock).end()
        return {}
    asked = read(RunCommandsEvent, event)
    refuse_redriven(redriven=asked.redriven and asked.moment != "afterRollback")
    return Runner(asked, deployed_pairs()[asked.pair], sleep, clock).run()


class Commands:
    """The commands of the execution that holds the lock."""

    def __init__(self, lock: dict[str, str], pair: Pair, sleep: Sleep, clock: Clock) -> None:
        self.pair, self.sleep, self.clock = pair, sleep, clock
        self.item = LockItem(lock["pair"], lock["execution"])
        self.commands = RunCommand(pair, lock["execution"].rpartition(":")[2])

    def end(self) -> None:
        """Returns when the last one is over; the execution begins no other one."""
        self.item.end_commands()
        if self.item.runs:
            self.item.write_end(self.item.command and self.ended(self.item.command))

    def ended(self, command: Command, *, limit: float = math.inf) -> Command:
        """Cancels a command, and returns it when it has ended, or its time is up; at `limit`, maybe not ended."""
        pause = FIRST_PAUSE
        while self.clock() < min(command.until, limit):
            command = self.found(command)
            if command.id is None:
                return command.ends("Cancelled", "was not sent.")
            command = self.commands.look(command)
            if command.ended:
                return command
            self.commands.cancel(command)
            self.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)
        return replace(command, failure="did not end in time.", ended=self.clock() >= command.until)

    def found(self, command: Command) -> Command:
        """With its id, if it was sent: the call that should send it may have died, or still be at work."""
        while command.id is None:
            late = self.clock() - command.sent > SENT_WITHIN_SECONDS
            command = replace(command, id=self.commands.find(command))
            if late:
                break
            if command.id is None:
                self.sleep(1)
        return command


class Runner(Commands):
    """Runs the steps of one moment, in order."""

    def __init__(self, asked: RunCommandsEvent, pair: Pair, sleep: Sleep, clock: Clock) -> None:
        super().__init__(asked.lock, pair, sleep, clock)
        self.asked, self.limit = asked, clock() + (HURRIED_SECONDS if asked.hurried else math.inf)
        listens = not (asked.hurried or asked.moment == "afterRollback")  # no rollback is asked to roll back
        self.listener = RollbackRequest(asked.lock if listens else None)

    def run(self) -> Json:
        self.item.read()
        of_moment, last = steps(self.pair, self.asked.moment), self.item.command
        names = [step.name for step in of_moment]
        if last and last.step.startswith(LATER[self.asked.moment]):
            raise LockLost(f"The execution has begun {last.step}: this late call of an earlier moment does nothing.")
        if last and last.step not in names:
            if self.item.runs:
                last = self.ended(last, limit=self.limit)
                self.item.write(last, runs=not last.ended)
            if self.item.runs:
                return {"moment": self.asked.moment, "commands": [], "warnings": _not_run(names, last)}
            last = None
        for step in of_moment[names.index(last.step) if last else 0 :]:
            resumed = last if last and last.step == step.name else None
            last = self._tolerated(step, resumed if resumed and resumed.ended else self._run(step, resumed, last))
            if self.item.runs:
                last = replace(last, warnings=(*last.warnings, *_not_run(names[names.index(step.name) + 1 :], last)))
                break
        commands, warnings = ([*last.done, last.result], [*last.warnings]) if last else ([], [])
        return {"moment": self.asked.moment, "commands": commands, "warnings": warnings}

    def _tolerated(self, step: Step, command: Command) -> Command:
        """The command, with a warning if it has failed and that is tolerated."""
        if command.failure is None:
            return command
        where = f" on {command.server} ({command.instance_id})" if command.instance_id else ""
        failure = f"{step.name}{where} {command.failure}"
        if self.asked.moment == "deploy":
            raise DeployFailed(f"Production was not touched. {failure}")
        if self.asked.tolerant or self.asked.hurried or step.on_failure == "CONTINUE":
            warning = shortened(f"The hook {failure}", LONGEST_WARNING)
            return replace(command, failure=None, warnings=(*command.warnings, warning))
        raise HookFailed(f"The hook {failure}")

    def _run(self, step: Step, resumed: Command | None, last: Command | None) -> Command:
        """Runs a step to its end, or goes on with it, and writes how it ended."""
        now, live = self.clock(), self.pair.server_named(self.asked.live)
        idle = self.pair.other(live) if live else self.pair.server_named(self.asked.idle)
        server = live if step.server == "live" else idle
        command = resumed or Command(
            step.name,
            server.name if server else "-",
            server.instance_id if server and step.command else None,
            sent=now,
            until=now + step.timeout_seconds + (RESERVE_SECONDS if step.command else 0),
            done=(*last.done, last.result) if last else (),
            warnings=last.warnings if last else (),
        )
        if server is None:
            command = command.ends("Failed", "was not run, because no server is live.")
        elif now > self.limit:
            command = command.ends("Cancelled", "was not run, because a rollback waits only some seconds for hooks.")
        elif step.command:
            command = self._sent(step, command, resumed=resumed is not None)
            command = command if command.ended else self._watched(command)
        else:
            command = self._called(step, command)
        command = replace(command, seconds=round(self.clock() - command.sent, 1))
        logger.info("step ended", extra={**command.result, "failure": command.failure})
        self.item.write(command, runs=not command.ended, more=self._begun(command))
        return command

    def _begun(self, command: Command) -> dict[str, str]:
        """What the record says from the beginning of a deployment that is sent, or of the hooks before a cutover."""
        if self.asked.moment != "deploy":
            return {"hooksBegan": "true"} if self.asked.moment == "beforeCutover" else {}
        record, server, release = self.item.record, command.server, self.asked.release
        releases, back = record.releases, record.rollback_to
        if command.id or not command.ended:
            at = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
            deployed = command.ended and command.failure is None
            by, on = {"at": at, "execution": self.item.execution}, {"instanceId": command.instance_id}
            releases = {**releases, server: {"release": release, **by, **on, "deployed": deployed}}
            back = record.after_deployment(server, f"the deployment of release {release} to {server} began")
        return {"releases": json.dumps(dict(releases)), "rollbackTo": json.dumps(back.to_json())}

    def _sent(self, step: Step, command: Command, *, resumed: bool) -> Command:
        """The command with its id, sent now unless it was sent before."""
        if resumed:
            command = self.found(command)
        patience = min(self.clock() + THROTTLED_SECONDS, self.limit)
        while command.id is None:
            self.listener.refuse()
            now = self.clock()
            command = replace(command, until=command.until + now - command.sent, sent=now)
            self.item.write(command, runs=True, more=self._begun(command))
            try:
                sent = self.commands.send(command, self.asked.release, self.item.execution, step.timeout_seconds)
                command = replace(command, id=sent)
            except NotSent as refusal:
                if not refusal.throttled or self.clock() > patience:
                    return command.ends("Failed", f"was not sent. {refusal}")
                self.sleep(LONGEST_PAUSE)
        self.item.write(command, runs=True)
        return command

    def _watched(self, command: Command) -> Command:
        """The command when it has ended. One that does not end by itself is cancelled, and waited for some seconds."""
        pause, cancelled_at = FIRST_PAUSE, 0.0
        while not (seen := self.commands.look(command)).ended:
            command = self._shown(command, seen)
            try:
                self.listener.refuse()
            except RollbackRequested:  # the rollback does not wait for its end; nobody releases the lock before
                self.commands.cancel(command)
                raise
            if self.clock() > min(command.until, self.limit):
                cancelled_at = cancelled_at or self.clock()
                self.commands.cancel(command)
            if cancelled_at and self.clock() > cancelled_at + (0 if self.asked.hurried else CANCELLING_SECONDS):
                break
            self.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)
        if cancelled_at and seen.status != "Success":
            why = "did not end in time, and was cancelled."
            return replace(seen, failure=why, ended=seen.ended or self.clock() > seen.until)
        return seen

    def _shown(self, command: Command, seen: Command) -> Command:
        """Writes what has changed, for people who watch."""
        if seen != command:
            try:
                self.item.write(seen, runs=True)
            except RecordUnavailable as problem:
                logger.warning(str(problem))
        return seen

    def _called(self, step: Step, command: Command) -> Command:
        """A hook's function, called again while it answers IN_PROGRESS."""
        self.item.write(command, runs=False, more=self._begun(command))
        event = {"pair": self.pair.name, "server": command.server, "release": self.asked.release or ""}
        event |= {"execution": self.item.execution, "hook": self.asked.moment}
        waiting: Json = {"listener": self.listener, "sleep": self.sleep, "clock": self.clock}
        return command.ends(*answered(str(step.function), event, until=min(command.until, self.limit), **waiting))


def _not_run(names: list[str], beside: Command) -> list[str]:
    why = f"because {beside.step} may still run on {beside.server}."
    return [f"Not run: {', '.join(names)}, {why}"] if names else []
