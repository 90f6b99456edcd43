"""The emergencies that a rollback gets users out of, on the local AWS: how each comes about, and what has to end it.

tao is live with a release that answers its health check, but not users. bittybot served them well before, and the
pair's record says so. `benchmarks.rollback` measures how long each emergency lasts, and
`tests/local/test_emergencies.py` tries them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from local.aws import PAIR, Execution, LocalAws, Move
from local.cloudwatch import Manner
from local.fault_layer import Call
from local.load import Answer, Load
from local.server import Behaviour

ALARM = "5xx"
# As in a pair that leaves these keys out (`stacks/configuration/health_check.py`).
DEFAULT_CHECK = {"intervalSeconds": 1, "timeoutSeconds": 2, "healthyThresholdCount": 3, "unhealthyThresholdCount": 3}
BAKE_SECONDS = 3600
# After its execution was stopped, a function may change something for so long: `domain.lock`. A test compares it.
LAST_CALL_SECONDS = 25
BAD_RELEASE, GOOD_RELEASE = 2, 3
LONGEST_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class Emergency:
    """`happens` makes it happen, and returns from when on it can be ended: None for at once.

    `request` is the input of the execution that ends it. Then `server` serves users, and staging and the outcome are as
    here. With `bakes`, the pair has a long bake.
    """

    title: str
    happens: Callable[[Site], float | None]
    request: Mapping[str, object] = field(default_factory=lambda: {"pair": PAIR, "rollback": True})
    server: str = "bittybot"
    staging: str | None = "tao"
    outcome: str = "CUT_OVER"
    bakes: bool = False


@dataclass(frozen=True)
class Ended:
    """How an emergency ended. Moments are of `time.monotonic`.

    `began` is when the rollback was started, or could begin; `served` is when the first good answer of the right server
    arrived to a request that was sent since then. `execution` is the one that was started, `other` one that had begun
    before. `calls` and `moves` are those since `began`.
    """

    emergency: Emergency
    began: float
    served: float
    execution: Execution
    other: Execution | None
    calls: Sequence[Call]
    moves: Sequence[Move]

    @property
    def seconds(self) -> float:
        return self.served - self.began


class Site:
    """A local AWS whose pair is in an emergency. Use `site`."""

    def __init__(self, aws: LocalAws, *, time_scale: float) -> None:
        self.aws, self._time_scale = aws, time_scale
        self._states: Any = aws.client("stepfunctions")
        self._dynamodb: Any = aws.client("dynamodb")
        self._cloudwatch: Any = aws.client("cloudwatch")
        self._key = {"TableName": aws.outputs["LockTableName"], "Key": {"pair": {"S": PAIR}}}
        self._other: str | None = None
        self._configure()
        self._cloudwatch.put_metric_alarm(
            AlarmName=ALARM, Namespace="Web", MetricName=ALARM, Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        # A real cutover to the bad release. It warms the functions, and its record is what every emergency finds.
        self._bake(0)
        self._deploy("broken-for-users")
        ended = aws.execute({})
        if ended.status != "SUCCEEDED":
            raise RuntimeError(f"the cutover to the bad release failed: {ended.error}: {ended.cause}")
        self._record = {key: value for key, value in self.item.items() if key != "lastOutcome"}  # it was long ago

    @property
    def item(self) -> dict[str, Any]:
        """The pair's item in the lock table: its record and, if an execution holds it, its lock."""
        item: dict[str, Any] = self._dynamodb.get_item(**self._key, ConsistentRead=True).get("Item", {})
        return item

    def run(self, emergency: Emergency) -> Ended:
        """Let it happen and end it, under load. Returns when the execution has ended."""
        self._restore(emergency)
        with Load(self.aws.production_ip, self.aws.server_port) as load:
            possible = emergency.happens(self) or 0
            first_call, first_move = len(self.aws.ec2.calls), len(self.aws.moves)
            began = time.monotonic()
            started = self.aws.start(emergency.request)
            began = max(began, possible)
            served = until(lambda: _served(load.answers, emergency.server, began))
            execution = self.aws.wait(started)
        return Ended(
            emergency,
            began,
            served,
            execution,
            self.aws.look(self._other) if self._other else None,
            [call for call in self.aws.ec2.calls[first_call:] if call.ended > began],
            self.aws.moves[first_move:],
        )

    def _restore(self, emergency: Emergency) -> None:
        """The bad release is live on tao, as after the cutover to it."""
        self.aws.reset()
        self._other = None
        self._bake(BAKE_SECONDS if emergency.bakes else 0)
        self._cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="reset")
        self._deploy("broken-for-users")
        self.aws.place(production="tao", staging="bittybot")
        self._dynamodb.put_item(TableName=self._key["TableName"], Item=self._record)

    def _deploy(self, behaviour: Behaviour, release: int = BAD_RELEASE) -> None:
        self.aws.servers["tao"].deploy(release=release, behaviour=behaviour)
        self.aws.servers["tao"].restart()

    def _configure(self) -> None:
        """From now on, the functions read the pair from a file. A deployment for each bake would take longer.

        They start cold after it.
        """
        functions: Any = self.aws.client("lambda")
        self._pairs = self.aws.folder / "pairs.json"
        for function in functions.get_paginator("list_functions").paginate().search("Functions[]"):
            variables = function["Environment"]["Variables"] | {"PAIRS_FILE": str(self._pairs)}
            functions.update_function_configuration(
                FunctionName=function["FunctionName"], Environment={"Variables": variables}
            )

    def _bake(self, seconds: int) -> None:
        (deployed,) = (self.aws.folder / "cdk.out").glob("asset.*/pairs.json")
        pairs = json.loads(deployed.read_text())
        pairs[PAIR]["bakeSeconds"] = seconds
        self._pairs.write_text(json.dumps(pairs))

    # What happens.

    def nothing(self) -> None:
        """Nothing bars the rollback."""

    def functions_are_cold(self) -> None:
        """As at AWS if nobody has called them for some minutes."""
        self._configure()

    def alarm(self, manner: Manner) -> None:
        self._cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="9 answers of 500")
        self.aws.emulator.cloudwatch.behave(manner)

    def live_server_terminated(self) -> None:
        """The server does not come back: this emergency is the last."""
        tao = self.aws.servers["tao"]
        tao.stop()
        self.aws.client("ec2").terminate_instances(InstanceIds=[tao.instance_id])

    def production_disassociated(self) -> None:
        self.aws.place(production=None, staging="bittybot")

    def production_disassociated_without_a_record(self) -> None:
        """The release is good."""
        self._deploy("good", GOOD_RELEASE)
        self._dynamodb.delete_item(**self._key)
        self.production_disassociated()

    def cutover_bakes(self) -> None:
        """The cutover to the bad release has found it healthy, and bakes."""
        other = self._begin_cutover()
        until(lambda: "bakesUntil" in self.item or self._has_ended(other))

    def cutover_stopped(self) -> float:
        """The cutover to the bad release is stopped when production has moved. Returns when its last call is over."""
        with self.aws.emulator.pause("HealthCheckProduction", workflow="eip-cutover") as pause:
            other = self._begin_cutover()
            until(lambda: pause.execution == other or self._has_ended(other))
            self._states.stop_execution(executionArn=other)
            self.aws.wait(other)
        stopped = self._states.describe_execution(executionArn=other)["stopDate"].timestamp()
        return float(stopped + LAST_CALL_SECONDS * self._time_scale - time.time() + time.monotonic())

    def _begin_cutover(self) -> str:
        self.aws.place(production="bittybot", staging="tao")
        self._dynamodb.delete_item(**self._key)
        self._other = self.aws.start({"pair": PAIR, "serverName": "tao"})
        return self._other

    def _has_ended(self, arn: str) -> bool:
        """False. Raises RuntimeError if the execution, which should be in the middle of something, has ended."""
        execution = self.aws.look(arn)
        if execution.status != "RUNNING":
            raise RuntimeError(f"{arn} ended {execution.status}: {execution.error}: {execution.cause}")
        return False


EMERGENCIES = (
    Emergency("nothing bars it", Site.nothing),
    Emergency("its alarm is in ALARM, and CloudWatch does not answer", lambda site: site.alarm("hangs")),
    Emergency("its alarm is in ALARM, and CloudWatch refuses connections", lambda site: site.alarm("refuses")),
    Emergency("someone disassociated production", Site.production_disassociated),
    Emergency(
        "someone disassociated production, and there is no record",
        Site.production_disassociated_without_a_record,
        request={"pair": PAIR, "serverName": "tao", "emergency": True},
        server="tao",
        staging="bittybot",
    ),
    Emergency("a bake is running", Site.cutover_bakes, outcome="ALREADY_LIVE", bakes=True),
    Emergency("the lock is dead", Site.cutover_stopped),
    Emergency("the live server is terminated", Site.live_server_terminated, staging=None),
)
COLD = Emergency("nothing bars it, and all functions are cold", Site.functions_are_cold)


@contextmanager
def site(*, time_scale: float = 1) -> Iterator[Site]:
    """A site for emergencies. `time_scale` shortens waits and the pauses before retries, but no health check."""
    pair = {"alarms": [ALARM], "bakeSeconds": BAKE_SECONDS}
    with LocalAws(health_check=DEFAULT_CHECK, pair=pair, time_scale=time_scale) as aws:
        yield Site(aws, time_scale=time_scale)


def until(value: Callable[[], T | None]) -> T:
    """The value, as soon as it is true. Raises TimeoutError after `LONGEST_SECONDS`."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not (result := value()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {LONGEST_SECONDS:g} s")
        time.sleep(0.01)
    return result


def _served(answers: Sequence[Answer], server: str, since: float) -> float | None:
    """When the first good answer of the server arrived to a request that was sent since then; None if none did."""
    return next(
        (
            answer.arrived
            for answer in tuple(answers)
            if answer.good and answer.sent >= since and str(answer.who).startswith(f"{server},")
        ),
        None,
    )
