"""Runs cases of the fault matrix, in as many processes as there are processors: an execution is all Python.

Each process has an account and a pair of its own and takes one case after the other. Nothing of a case is left to the
next but the pair's instances: see `prepared`.
"""

import atexit
import gc
import logging
import os
import re
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest

from local.faults import Fault
from local.systems_manager_agents import Command
from local.systems_manager_runs import Result as CommandResult
from tests.guarantees_seen_whole import Serving
from tests.workflow import engine
from tests.workflow.account import Account, Aws
from tests.workflow.ec2_calls import Call, EC2Calls, watched
from tests.workflow.engine import corrected_engine
from tests.workflow.fault_cases import Case, Way
from tests.workflow.oracle import Run, broken
from tests.workflow.replays import Replays
from tests.workflow.web import Web, sick, well

T = TypeVar("T")
CASES_AT_A_TIME = 8
ID = re.compile(r"\b[a-z]+-[0-9a-f]{17}\b")
RELEASE = "7"
OF_A_HOOK = {"server": "idle", "command": "a hook", "timeoutSeconds": 60, "onFailure": "FAIL"}
OF_A_RELEASE = {
    "deploy": {"command": "deploy", "timeoutSeconds": 60},
    "hooks": {moment: [OF_A_HOOK] for moment in ("beforeCutover", "afterCutover", "afterRollback")},
}
REFUSED = ("PreflightFailed", "StagingUnhealthy")
# The states of an evaluation that call the same function as other states of a cutover.
SAME_FUNCTION = {"HealthCheckLive": "HealthCheckStaging", "RepairStaging": "RehearseAssociateStaging"}
FEWEST_THROTTLED_TRIES = 9  # as many as there are take minutes of a matrix; `test_throttling.py` has cases with more


@dataclass(frozen=True)
class Result:
    """The result of a case: the guarantees that it broke, and the story of the execution."""

    broken: list[str]
    story: list[str]


@dataclass(frozen=True)
class Evaluated:
    """How an evaluation ended, and its reasons, none if there is no result. Ids are left out: they change when a
    server is replaced."""

    outcome: str
    reasons: list[str]


class Matrix:
    """One pair for all cases, since launching one takes longer than a case; until `stack` ends, no wait lasts."""

    def __init__(self, account: Account, web: Web, stack: ExitStack) -> None:
        self._stack = stack
        self._evaluated: dict[tuple[Way, str, Fault | None], Evaluated] = {}
        self._replays = Replays()
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setattr(engine, "TIME_SCALE", 0.0001)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.web = web
        self.aws = Aws(account, folder, environment, (web.production_ip, web.staging_ip))
        self.aws.servers["stranger"] = self.aws.launch()

    @contextmanager
    def prepared(self, way: Way, live: str, **health_check: Any) -> Iterator[EC2Calls]:
        """The pair as it stands before the way is taken."""
        aws, web, idle = self.aws, self.web, other(live)
        aws.renew()
        aws.systems_manager.begin_anew()
        aws.place(production=live, staging=idle if way.staging_on_a_server else None)
        release = OF_A_RELEASE if way.deploys else {}
        header = {"releaseHeader": "X-Release"} if way.deploys else {}
        aws.configure(port=web.port, pair=release, **{"timeoutSeconds": 10, **header, **health_check})
        aws.systems_manager.runs(partial(deploy, web), step="deploy")
        web.serve(aws)
        web.behaviour[idle] = way.new_release
        aws.put_record(rollback_to=idle)
        if way.asked:
            web.behaviour[live] = sick  # for which nobody must ask
        with watched(aws.production, aws.staging) as calls:
            calls.tell(Serving, aws.servers[idle], True, way.new_release is well)
            if way.first:
                calls.inject(way.first)
            yield calls

    def run(self, case: Case) -> Result:
        """Also replays what was executed on the simulation's interpreter."""
        self._replays.skip()
        with self.prepared(case.way, case.live) as calls:
            run = self.executed(calls, request_of(case.way, case.live), self._resolved(case.fault, case.live))
            violations = broken(run) + self._replays.run()
        reason = run.execution.cause or run.execution.output
        story = [f"{run.execution.outcome}: {reason}", *map(str, calls.everything)]
        return Result(violations, story if violations else [])

    def is_seen(self, case: Case) -> bool | None:
        """Whether an evaluation of the pair finds it not ready, with the same fault from the beginning, for a reason
        that the pair does not have without the fault; None if the execution does not end as one of `REFUSED`."""
        with self.prepared(case.way, case.live) as calls:
            calls.inject(self._resolved(case.fault, case.live))
            if self.aws.execute(request_of(case.way, case.live)).outcome not in REFUSED:
                return None
        evaluation = self._evaluation(case.way, case.live, from_the_beginning(case))
        without = self._evaluation(case.way, case.live, None)
        return evaluation.outcome == "NOT_READY" and not {*evaluation.reasons} <= {*without.reasons}

    def _evaluation(self, way: Way, live: str, fault: Fault | None) -> Evaluated:
        """An evaluation of the pair before a way; one for all ways from the same pair."""
        way = replace(way, name="", asked=None)
        if (way, live, fault) not in self._evaluated:
            with self.prepared(way, live) as calls:
                if fault:
                    calls.inject(self._resolved(fault, live))
                evaluation = self.aws.evaluate()
            reasons = [ID.sub("", reason) for reason in (evaluation.output or {}).get("reasons", [])]
            self._evaluated[way, live, fault] = Evaluated(evaluation.outcome, reasons)
        return self._evaluated[way, live, fault]

    def executed(self, calls: EC2Calls, request: dict[str, Any], fault: Fault | None = None) -> Run:
        """One execution, with a fault. What it finds at its first look is what was before."""
        before = self._described()
        calls.after_the_first = lambda: before.update(self._described())
        if fault:
            calls.inject(fault)
        back = self.aws.record.rollback_to.server
        return Run(self.aws, before, calls, fault, self.aws.execute(request), back, bool(request.get("rollback")))

    def calls_of(self, way: Way, live: str) -> tuple[str, list[Call]]:
        """The outcome of a way without another fault, and its calls."""
        with self.prepared(way, live) as calls:
            return self.aws.execute(request_of(way, live)).outcome, calls.everything

    def _described(self) -> dict[str, dict[str, Any]]:
        return {name: self.aws.described(name) for name in ("production", "staging")}

    def _resolved(self, fault: Fault, live: str) -> Fault:
        """The fault with the ids of this pair."""
        aws = self.aws
        ids = {
            "live": aws.servers[live],
            "idle": aws.servers[other(live)],
            "stranger": aws.servers["stranger"],
            "production": aws.production,
            "staging": aws.staging,
        }
        return replace(
            fault, instance_id=ids.get(str(fault.instance_id)), allocation_id=ids.get(str(fault.allocation_id))
        )


def from_the_beginning(case: Case) -> Fault:
    """The fault from the first call of its kind on: calls of one function from any state are of one kind, and a call of
    DynamoDB by a function is another kind than one by the workflow."""
    state, action = case.call.state, case.fault.action
    if action.startswith("function "):
        return replace(case.fault, action=f"function {SAME_FUNCTION.get(state, state)}", nth=1)
    return replace(case.fault, nth=2 if action == "dynamodb GetItem" and state else 1)  # DescribeRecord has the first


def deploy(web: Web, command: Command) -> CommandResult:
    web.headers[command.parameters["Server"]]["X-Release"] = command.parameters["Release"]
    return CommandResult(output="deployed\n")


def request_of(way: Way, live: str) -> dict[str, Any]:
    """In a pair that is not sound, the input must say which server becomes live."""
    asked: dict[str, Any] = {way.asked: True} if way.asked else {"release": RELEASE} if way.deploys else {}
    return asked if way.staging_on_a_server else {**asked, "serverName": other(live)}


def other(server: str) -> str:
    return "tao" if server == "bittybot" else "bittybot"


def run_all(cases: Sequence[Case], template: dict[str, Any]) -> dict[str, Result]:
    """What came of each case, by its name."""
    return in_processes(_run, cases, template)


def in_processes(run: Callable[[Case], T], cases: Sequence[Case], template: dict[str, Any]) -> dict[str, T]:
    """What a function returns for each case, by the case's name."""
    workers = min(os.cpu_count() or 1, len(cases))
    with ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (template,)) as pool:
        results = pool.map(run, cases, chunksize=CASES_AT_A_TIME)
        return {str(case): result for case, result in zip(cases, results, strict=True)}


def is_seen(case: Case) -> bool | None:
    return _MATRIX[0].is_seen(case)


# In a process of the pool.
_MATRIX: list[Matrix] = []


def _prepare(template: dict[str, Any]) -> None:
    """If this fails, the pool ends, and with it the test: no case is run in vain."""
    os.nice(10)  # it takes what the tests beside it leave, of which some look at the clock
    os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"
    logging.disable(logging.CRITICAL)
    stack = ExitStack()
    web = stack.enter_context(Web())
    stack.enter_context(corrected_engine())
    atexit.register(stack.close)
    _MATRIX.append(Matrix(Account(template, throttled_tries=FEWEST_THROTTLED_TRIES), web, stack))
    gc.freeze()  # what is there now stays, and need not be looked through again and again


def _run(case: Case) -> Result:
    try:
        return _MATRIX[0].run(case)
    except Exception:  # the next case must not be lost with this one
        return Result(["the case itself fails"], [traceback.format_exc()])
