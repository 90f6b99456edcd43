"""`docs/runbook.md` and the pages that belong to it: each of their commands runs under the faults that it is for.

They run with the real AWS CLI and the real client, in a shell with the variables that the runbook documents.
"""

import inspect
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from client.result import FAILURES
from local.aws import PAIR, STACK, LocalAws
from local.environment import of_this_machine
from local.faults import Fault
from local.server import DEPLOY_FILE
from stacks.configuration.names import DEFAULT_NAME
from tests.local.conftest import TIME_SCALE
from tests.local.situation import (
    AS_BEFORE,
    SWAPPED,
    deploy,
    lock_table,
    locks,
    places,
    put_lock,
    start_slowly,
    tidy,
    until,
)
from tests.local.test_aborts import entered, paused_in, repair_of, stop
from tests.runbook import BLOCK, PAGES, PARTS, steps_of

PROJECT = Path(__file__).parents[2]
# Every service but EC2, at an address where nobody listens.
EC2_ONLY = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
ALARM, BAKE_SECONDS = "web-5xx", 6
BAD_RELEASE = "Users get a bad release"


class Alarmed(LocalAws):
    """The local AWS, with an alarm, a bake and an approval for its pair."""

    def _pairs(self, instances: Mapping[str, str]) -> dict[str, object]:
        pair = super()._pairs(instances)[PAIR]
        assert isinstance(pair, dict)
        return {PAIR: pair | {"alarms": [ALARM], "bakeSeconds": BAKE_SECONDS, "approval": {"timeoutMinutes": 60}}}


@pytest.fixture(scope="module")
def running_alarmed() -> Iterator[Alarmed]:
    once = {"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}
    with Alarmed(time_scale=TIME_SCALE, health_check=once) as aws:
        yield aws


@pytest.fixture
def alarmed(running_alarmed: Alarmed) -> Alarmed:
    """As `aws`, with the alarm in OK."""
    tidy(running_alarmed)
    running_alarmed.reset()
    ring(running_alarmed, "OK")
    return running_alarmed


def ring(aws: LocalAws, state: Literal["ALARM", "OK"] = "ALARM") -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM, MetricName="5xx", Namespace="web", ComparisonOperator="GreaterThanThreshold", Period=60,
        EvaluationPeriods=1, Threshold=1, Statistic="Sum",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="5 of 5 requests failed")


@dataclass
class Section:
    """Runs the steps of one section, one after the other, and records which have run."""

    aws: LocalAws
    heading: str
    wanted: str = "tao"
    execution: str = ""
    more: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the runbook lets its reader set."""
        aws, other = self.aws, next(name for name in self.aws.servers if name != self.wanted)
        url = f"http://{{}}:{aws.server_port}/health".format
        return {
            "PAIR": "web",
            "SERVER": self.wanted,
            "WANTED_INSTANCE_ID": aws.servers[self.wanted].instance_id,
            "OTHER_INSTANCE_ID": aws.servers[other].instance_id,
            "PRODUCTION_ALLOCATION_ID": aws.addresses["production"].allocation_id,
            "STAGING_ALLOCATION_ID": aws.addresses["staging"].allocation_id,
            "PRODUCTION_URL": url(aws.production_ip),
            "STAGING_URL": url(aws.staging_ip),
            "EXECUTION": self.execution,
            "STATE_MACHINE_ARN": aws.state_machine_arn,
            "LOCK_TABLE": lock_table(aws),
            "RELEASE": "7",
            **self.more,
        }

    def step(self, start: str) -> str:
        """The step whose comment begins so, which counts as run."""
        (step,) = (step for step in steps_of(self.heading) if step.startswith(f"# {start}"))
        self.ran.append(step)
        return step

    def run(self, start: str, *, code: int | None = 0, instead: dict[str, str] | None = None) -> str:
        """Run the step whose comment begins so. Returns its output. With `code` None, any exit code but 0 is right.
        `instead` replaces variables of the environment."""
        return self.shell(self.step(start), code=code, instead=instead)

    def shell(self, commands: str, *, code: int | None = 0, instead: dict[str, str] | None = None) -> str:
        environment = of_this_machine() | self.aws.environment | self.variables | {"AWS_MAX_ATTEMPTS": "1"}
        done = subprocess.run(
            ["sh", "-uc", commands],
            env=environment | (instead or {}),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == code or (code is None and done.returncode), done.stdout + done.stderr
        # A command before the last one of a step may have failed; curl prints nothing if it succeeds.
        assert code != 0 or not re.search(r"rror|sage:|not found|curl: ", done.stderr), done.stderr
        return done.stdout


# The situations by section: each creates one, runs all the steps, and checks what the runbook says.


def before_you_type(aws: LocalAws, section: Section) -> None:
    variables = section.variables
    printed = section.run("The outputs")
    assert printed.splitlines()[0] == f"{variables['STATE_MACHINE_ARN']} {variables['LOCK_TABLE']}"
    for name in ("PRODUCTION_ALLOCATION_ID", "STAGING_ALLOCATION_ID", "WANTED_INSTANCE_ID", "OTHER_INSTANCE_ID"):
        assert variables[name] in printed


def invalid_request(aws: LocalAws, section: Section) -> None:
    assert aws.execute({"serverName": "toa"}).error == "InvalidRequest"
    assert places(aws) == AS_BEFORE
    assert "web" in section.run("See the names")
    section.run("Start with")
    assert places(aws) == SWAPPED


def cutover_in_progress(aws: LocalAws, section: Section) -> None:
    section.execution = start_slowly(aws)
    refused = aws.execute({})
    assert refused.error == "CutoverInProgress"
    assert section.execution in str(refused.cause)
    section.run("Follow the other execution")
    assert places(aws) == SWAPPED
    aws.reset()
    section.execution = start_slowly(aws)
    assert "ALREADY_LIVE" in section.run("Or start yours")
    assert aws.look(section.execution).output["outcome"] == "CUT_OVER"

    with paused_in(aws, "ReassociateStaging", {"serverName": "bittybot"}) as arn:
        section.execution = arn
        section.run("Only if the other one must not continue")
        assert aws.look(arn).status == "ABORTED"
    repair_of(aws, arn)
    assert places(aws) == AS_BEFORE


def staging_unhealthy(aws: LocalAws, section: Section) -> None:
    aws.servers["tao"].make_unhealthy()
    assert aws.execute({}).error == "StagingUnhealthy"
    assert places(aws) == AS_BEFORE
    assert " 500 " in section.run("Send the request yourself").splitlines()[0]
    aws.servers["tao"].make_healthy()
    section.run("When the server is fixed")
    assert places(aws) == SWAPPED


def preflight_failed(aws: LocalAws, section: Section) -> None:
    tao = aws.servers["tao"].instance_id
    aws.ec2.set_state(tao, "stopped")
    assert aws.execute({}).error == "PreflightFailed"
    assert places(aws) == AS_BEFORE
    assert re.search(rf"^{tao}\s+stopped", section.run("The servers' states"), re.MULTILINE)
    aws.ec2.set_state(tao, "running")
    section.run("When the cause is fixed")
    assert places(aws) == SWAPPED


def address_moved(aws: LocalAws, section: Section) -> None:
    production, tao = aws.addresses["production"].allocation_id, aws.servers["tao"].instance_id
    moved = Fault(action="DescribeAddresses", kind="moved", nth=2, allocation_id=production, instance_id=tao)
    aws.ec2.faults.inject(moved)
    assert aws.execute({"serverName": "tao"}).error == "AddressMoved"
    aws.ec2.faults.clear()
    assert places(aws) == ("tao", None)
    assert re.search(r"^addresses +not in place", section.run("Where are the addresses"), re.MULTILINE)
    section.run("Name the server")
    assert places(aws) == SWAPPED


def deploy_failed(aws: LocalAws, section: Section) -> None:
    script = aws.servers["tao"].folder / DEPLOY_FILE
    good = script.read_text()
    try:
        script.write_text("#!/bin/sh\necho unpacking\necho no space left on device\nexit 3\n")
        failed = aws.execute({"release": "7"})
        assert (failed.error, places(aws)) == ("DeployFailed", AS_BEFORE)
        assert "no space left on device" in str(failed.cause)
        shown = section.run("The last command").splitlines()
        assert shown[1:] == ["Failed\tunpacking", "no space left on device", ""]

        script.write_text("#!/bin/sh\nsleep 50\n")
        hangs = aws.start({"release": "7"})
        until(lambda: len(aws.systems_manager.core.commands) == 2)
        command = section.run("The last command").splitlines()[0]
        assert command != shown[0]
        section.more = {"COMMAND_ID": command}
        section.run("If it hangs")
        assert aws.wait(hangs).error == "DeployFailed"
    finally:
        script.write_text(good)
    section.run("When the cause is fixed")
    assert places(aws) == SWAPPED


def not_approved(alarmed: LocalAws, section: Section) -> None:
    waits = alarmed.start({"release": "7"})

    def token() -> bool:
        return any(lock.approval_token for lock in locks(alarmed))

    until(token)
    Section(alarmed, "").shell('./cutover.py reject --pair "$PAIR" --reason "not on a Friday"')
    rejected = alarmed.wait(waits)
    assert (rejected.error, places(alarmed)) == ("NotApproved", AS_BEFORE)
    assert "not on a Friday" in str(rejected.cause)
    assert re.search(r"^release +7 on tao", section.run("Which release"), re.MULTILINE)
    with ThreadPoolExecutor(1) as other_terminal:
        starts = other_terminal.submit(section.run, "If it should go live")
        until(token)
        section.run("In a second terminal")
        assert "CUT_OVER" in starts.result()
    assert places(alarmed) == SWAPPED


def rolled_back(aws: LocalAws, section: Section) -> None:
    deploy(aws, "fails-as-production")
    assert aws.execute({}).error == "RolledBack"
    assert places(aws) == AS_BEFORE
    seen = section.run("What does the live server answer?")
    assert re.search(r"^live +bittybot", seen, re.MULTILINE)
    assert re.search(r"^answers +200", seen, re.MULTILINE)
    assert "no server: the cutover to tao ended RolledBack" in seen
    deploy(aws, "good")
    section.run("There is no hurry")
    assert places(aws) == SWAPPED


def rollback_failed(aws: LocalAws, section: Section) -> None:
    section.wanted = "bittybot"
    deploy(aws, "fails-as-production")
    # The eighth description is the last of the moves: the rollback can neither describe nor move the addresses.
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="denied", nth=8, times=None))
    execution = aws.execute({})
    aws.ec2.faults.clear()
    assert execution.error == "RollbackFailed"
    assert places(aws) == SWAPPED

    section.execution = execution.arn.rsplit(":", 1)[-1]
    assert re.search(rf"RollbackFailed .*{section.execution}$", section.run("The alarm does not name"), re.MULTILINE)
    cause = section.run("The cause", code=FAILURES["RollbackFailed"])
    # As a person copies them. If the first command is refused, the second must not run: staging would displace
    # production.
    commands = "\n".join(line for line in cause.splitlines() if line.strip().startswith("aws ec2 associate-address"))
    assert len(commands.splitlines()) == 2
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="refused"))
    section.shell(commands, code=None)
    assert places(aws) == SWAPPED
    section.shell(commands)
    assert places(aws) == AS_BEFORE
    seen = section.run("It must say")
    assert re.search(r"^addresses +in place", seen, re.MULTILINE)
    assert re.search(r"^answers +200", seen, re.MULTILINE)


def repair_failed(aws: LocalAws, section: Section) -> None:
    with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
        aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="denied", times=None))
        stop(aws, arn)
    assert repair_of(aws, arn)["error"] == "RepairFailed"
    aws.ec2.faults.clear()
    assert places(aws) == ("tao", None)
    assert "RepairStaging failed with EC2Refused" in section.run("The last repair")
    assert re.search(r"^live +tao", section.run("Name the server that is live"), re.MULTILINE)
    assert places(aws) == SWAPPED
    assert locks(aws) == []


def aborted(aws: LocalAws, section: Section) -> None:
    with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
        stop(aws, arn)
    repair_of(aws, arn)
    seen = section.run("It should say")
    assert re.search(r"^addresses +in place$", seen, re.MULTILINE)
    assert re.search(r"^lock +free$", seen, re.MULTILINE)
    assert "X-Server: tao" in seen
    section.execution = arn
    section.run("If users get a bad release")
    assert places(aws) == AS_BEFORE
    seen = section.run("Where did it hang", code=FAILURES["ABORTED"])
    assert (
        "ReassociateStaging" in [line.split()[-1] for line in seen.splitlines() if re.match(r" +[\d.]+ s ", line)][-1]
    )


def bad_release(alarmed: LocalAws, section: Section) -> None:
    """It is live, and its alarm is in ALARM."""
    alarmed.execute({"serverName": "tao"})
    alarmed.servers["tao"].make_unhealthy()
    ring(alarmed)
    assert alarmed.execute({"serverName": "bittybot"}).error == "PreflightFailed"
    assert "CUT_OVER" in section.run("Make the server live")
    assert places(alarmed) == AS_BEFORE
    assert "ALREADY_LIVE" in section.run("Make the server live")

    # There is no server to go back to after a cutover that was rolled back; but its release may be good.
    deploy(alarmed, "fails-as-production")
    assert alarmed.execute({"serverName": "tao", "emergency": True}).error == "RolledBack"
    deploy(alarmed, "good")
    assert "ended RolledBack" in section.run("Make the server live", code=FAILURES["PreflightFailed"])
    section.run("Only if that is refused")
    assert places(alarmed) == SWAPPED


def bad_release_in_its_bake(alarmed: LocalAws, section: Section) -> None:
    bakes = alarmed.start({"serverName": "tao"})
    until(lambda: "Bake" in entered(alarmed, bakes))
    began = time.monotonic()
    assert "ALREADY_LIVE" in section.run("Make the server live")
    assert time.monotonic() - began < 10
    assert places(alarmed) == AS_BEFORE
    assert alarmed.look(bakes).error == "RolledBack"


def live_server_is_stopped(aws: LocalAws, section: Section) -> None:
    aws.execute({"serverName": "tao"})
    aws.servers["tao"].make_unhealthy()
    aws.ec2.set_state(aws.servers["tao"].instance_id, "stopped")
    assert "CUT_OVER" in section.run("Make the server live")
    assert places(aws) == AS_BEFORE
    aws.ec2.set_state(aws.servers["tao"].instance_id, "running")


def cutover_was_stopped(aws: LocalAws, section: Section) -> None:
    """After it has moved production, so that the lock is dead."""
    with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
        stop(aws, arn)
    section.run("Make the server live")
    assert places(aws) == AS_BEFORE
    assert locks(aws) == []


def production_on_no_server(alarmed: LocalAws, section: Section) -> None:
    """Someone disassociated it, and the alarm is in ALARM."""
    ring(alarmed)
    alarmed.place(production=None, staging="tao")
    assert alarmed.execute({}).error == "PreflightFailed"
    assert "CUT_OVER" in section.run("Make this server live")
    assert places(alarmed) == SWAPPED

    alarmed.execute({"serverName": "bittybot", "emergency": True})
    alarmed.place(production=None, staging="bittybot")
    assert "CUT_OVER" in section.run("Or go back")
    assert places(alarmed) == ("tao", "bittybot")


def replacing(alarmed: LocalAws, section: Section) -> None:
    """The live server is terminated. Users are served by the other, and then the pair gets a new server."""
    alarmed.execute({"serverName": "tao"})
    ring(alarmed)
    alarmed.ec2.client().terminate_instances(InstanceIds=[alarmed.servers["tao"].instance_id])
    assert "CUT_OVER" in Section(alarmed, BAD_RELEASE).run("Make the server live")
    assert places(alarmed) == ("bittybot", None)

    new = alarmed.ec2.launch("tao")
    section.wanted, section.more = "bittybot", {"REPLACED": "tao", "NEW_INSTANCE_ID": new}
    printed = section.run("1. ")
    servers = json.loads(printed)[PAIR]["servers"]
    assert servers == {"bittybot": alarmed.servers["bittybot"].instance_id, "tao": new}
    pair = alarmed.pairs[PAIR]
    assert isinstance(pair, dict)
    pair["servers"] = servers
    # As `make deploy` does, with the real `cdk deploy`, but without the project's own cdk.json.
    assert section.step("2. ").splitlines()[1:] == ["make deploy"]
    alarmed.deploy_beside(DEFAULT_NAME, STACK)
    alarmed.servers["tao"].instance_id = new
    assert "REPAIRED" in section.run("3. ")
    assert places(alarmed) == AS_BEFORE
    ring(alarmed, "OK")
    assert "DRY_RUN" in section.run("4. ")
    seen = section.run("5. ")
    assert re.search(r"^addresses +in place$", seen, re.MULTILINE)
    assert new in seen
    assert alarmed.execute({"serverName": "tao"}).output["outcome"] == "CUT_OVER"


def alarm_starts_a_rollback(alarmed: LocalAws, section: Section) -> None:
    """ministack sends no events of alarms: the event is as AWS documents it, and the test does what the rule does."""
    alarm = alarmed.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"][0]["AlarmArn"]
    section.more = {"ALARM_ARN": alarm}
    for step in ("1. ", "2. ", "3. "):
        section.run(step)
    events = alarmed.client("events")
    rule = events.describe_rule(Name="web-rollback")
    assert rule["State"] == "ENABLED"

    def matches(arn: str, state: str) -> bool:
        event = {
            "version": "0", "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92", "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change", "account": "000000000000", "time": "2026-10-02T17:04:40Z",
            "region": "us-east-1", "resources": [arn], "detail": {"alarmName": ALARM, "state": {"value": state}},
        }  # fmt: skip
        matched: bool = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))["Result"]
        return matched

    assert [matches(alarm, "ALARM"), matches(alarm, "OK"), matches(f"{alarm}-2", "ALARM")] == [True, False, False]
    (target,) = events.list_targets_by_rule(Rule="web-rollback")["Targets"]
    iam = alarmed.client("iam")
    policy = iam.get_role_policy(RoleName="web-rollback", PolicyName="start")["PolicyDocument"]
    (allowed,) = (json.loads(policy) if isinstance(policy, str) else policy)["Statement"]
    assert allowed == {"Effect": "Allow", "Action": "states:StartExecution", "Resource": target["Arn"]}
    assert target["RoleArn"] == iam.get_role(RoleName="web-rollback")["Role"]["Arn"]

    alarmed.execute({"serverName": "tao"})
    ring(alarmed)
    assert target["Arn"] == alarmed.state_machine_arn
    assert alarmed.execute(json.loads(target["Input"])).output["outcome"] == "CUT_OVER"
    assert places(alarmed) == AS_BEFORE
    section.run("To switch it off")
    assert events.describe_rule(Name="web-rollback")["State"] == "DISABLED"


def production_on_a_foreign_server(aws: LocalAws, section: Section) -> None:
    foreign = aws.ec2.launch("foreign")
    aws.ec2.client().associate_address(
        AllocationId=aws.addresses["production"].allocation_id, InstanceId=foreign, AllowReassociation=True
    )
    assert aws.execute({}).error == "PreflightFailed"
    assert f"{foreign}, which is not in the pair" in section.run("Which instance is it?")
    section.run("If it is a mistake")
    assert places(aws) == SWAPPED


def dead_lock(aws: LocalAws, section: Section) -> None:
    dead = aws.execute({"dryRun": True}).arn
    put_lock(aws, dead)
    assert "dead: held by" in section.run("Who holds it")
    section.run("If it is dead")
    assert (places(aws), locks(aws)) == (SWAPPED, [])
    put_lock(aws, dead)
    aws.place(production="tao", staging=None)
    assert "REPAIRED" in section.run("Only if no cutover")
    assert (places(aws), locks(aws)) == (SWAPPED, [])

    for server in ("bittybot", "tao", "bittybot"):  # the first cutover to tao was not watched to its end
        aws.execute({"serverName": server})
    by_someone = {":holder": {"S": "someone, by hand"}, ":since": {"S": "2026-01-01T00:00:00Z"}}
    aws.client("dynamodb").update_item(
        TableName=lock_table(aws), Key={"pair": {"S": PAIR}}, ExpressionAttributeValues=by_someone,
        UpdateExpression="SET execution = :holder, since = :since",
    )  # fmt: skip
    assert aws.execute({}).error == "PreflightFailed"
    assert "RUNNING" not in section.run('"Not an execution"')
    section.run("If nothing runs")
    assert locks(aws) == []
    Section(aws, BAD_RELEASE).run("Make the server live")
    assert places(aws) == SWAPPED


def the_api_of_ec2_is_down(aws: LocalAws, section: Section) -> None:
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="internal-error", times=None))
    section.run("Are users served", code=None)
    aws.ec2.faults.clear()
    assert "X-Server: bittybot" in section.run("Are users served")
    section.run("When it does")
    assert places(aws) == SWAPPED


def printed_for(printed: str, live: str, standing: tuple[str, str | None]) -> str:
    """The commands that `commands` has printed for this server and these places, as a person copies them."""
    found = []
    for block in re.split(r"^(?=\S)", printed, flags=re.MULTILINE):
        heading, *commands = block.splitlines() or [""]
        where = re.search(r"production is on (.*?),? and staging (?:is )?on (.*):", heading)
        if (
            heading.startswith(live)
            and where
            and all(
                (place or "no server") in names.split(" or ")
                for place, names in zip(standing, where.groups(), strict=True)
            )
        ):
            found.append("\n".join(commands))
    assert len(found) == 1, printed
    return found[0]


def by_hand(aws: LocalAws, section: Section) -> None:
    printed = section.run("0. ")
    assert "RUNNING" not in section.run("1. ")
    section.run("1. ", code=None, instead=EC2_ONLY)
    seen = section.run("2. ", instead=EC2_ONLY)
    for server, ip in (("bittybot", aws.production_ip), ("tao", aws.staging_ip)):
        assert re.search(rf"^\S+\s{re.escape(ip)}\s{aws.servers[server].instance_id}$", seen, re.MULTILINE)
    assert "X-Server: tao" in seen
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="refused"))
    section.run("3. ", code=None, instead=EC2_ONLY)
    assert places(aws) == AS_BEFORE
    section.run("3. ", instead=EC2_ONLY)
    assert places(aws) == SWAPPED
    assert "X-Server: tao" in section.run("4. ")

    # What was printed, back from there, and from a state in between.
    section.shell(printed_for(printed, "bittybot live", SWAPPED), instead=EC2_ONLY)
    assert places(aws) == AS_BEFORE
    aws.place(production="tao", staging=None)
    section.shell(printed_for(printed, "tao live", ("tao", None)), instead=EC2_ONLY)
    assert places(aws) == SWAPPED
    assert "ALREADY_LIVE" in section.run("5. ")


def not_ready(aws: LocalAws, section: Section) -> None:
    aws.servers["tao"].make_unhealthy()
    assert re.search(r"^live +bittybot", section.run("Which pair is not ready"), re.MULTILINE)
    section.run("Is it fixed?", code=FAILURES["StagingUnhealthy"])
    aws.servers["tao"].make_healthy()
    assert "DRY_RUN" in section.run("Is it fixed?")
    assert places(aws) == AS_BEFORE


Situation = Callable[[LocalAws, Section], None]
# Of each section, the situation in which all its steps run.
SITUATIONS: dict[str, Situation] = {
    BAD_RELEASE: bad_release,
    "Production is on no server": production_on_no_server,
    "Before you type": before_you_type,
    "InvalidRequest": invalid_request,
    "CutoverInProgress": cutover_in_progress,
    "StagingUnhealthy": staging_unhealthy,
    "PreflightFailed": preflight_failed,
    "AddressMoved": address_moved,
    "DeployFailed": deploy_failed,
    "NotApproved": not_approved,
    "RolledBack": rolled_back,
    "RollbackFailed, eip-cutover-rollback-failed": rollback_failed,
    "RepairFailed, eip-cutover-repair-failed": repair_failed,
    "ABORTED, TIMED_OUT, eip-cutover-repair-ran": aborted,
    "Production is on a foreign server": production_on_a_foreign_server,
    "eip-cutover-lock-held-too-long, a dead lock": dead_lock,
    "EvaluationFailed, eip-cutover-not-ready": not_ready,
    "The API of EC2 is down": the_api_of_ec2_is_down,
    "The workflow cannot be started": by_hand,
    "A rollback that an alarm starts": alarm_starts_a_rollback,
    "From a terminated instance to a sound pair": replacing,
}
# The other faults under which the first command of a section must do.
FAULTS: list[tuple[str, Situation]] = [
    (BAD_RELEASE, bad_release_in_its_bake),
    (BAD_RELEASE, live_server_is_stopped),
    (BAD_RELEASE, cutover_was_stopped),
]


def run_in(request: pytest.FixtureRequest, heading: str, situation: Situation) -> Section:
    """Run a situation in the local AWS that its first parameter names."""
    aws = request.getfixturevalue(next(iter(inspect.signature(situation).parameters)))
    section = Section(aws, heading)
    situation(aws, section)
    return section


@pytest.mark.parametrize("heading", SITUATIONS)
def test_the_commands_do_what_the_page_says_in_their_situation(request: pytest.FixtureRequest, heading: str) -> None:
    section = run_in(request, heading, SITUATIONS[heading])
    assert set(section.ran) == set(steps_of(heading))


@pytest.mark.parametrize(("heading", "situation"), FAULTS)
def test_one_command_is_enough_under_each_fault(
    request: pytest.FixtureRequest, heading: str, situation: Situation
) -> None:
    run_in(request, heading, situation)


def test_every_command_of_the_pages_runs() -> None:
    assert {heading for heading in PARTS if steps_of(heading)} == set(SITUATIONS)
    blocks = sum(page.count("\n```sh\n# ") for page in PAGES)
    assert blocks == sum(page.count("\n```") for page in PAGES) / 2 == len(SITUATIONS)


def test_every_variable_of_the_commands_is_documented(aws: LocalAws) -> None:
    for page in PAGES:
        commands, words = "\n".join(BLOCK.findall(page)), BLOCK.sub("", page)
        assigned = set(re.findall(r"\b([A-Z_]+)=", commands))
        used = set(re.findall(r"\$\{?([A-Z_]+)", commands))
        assert used - assigned <= set(re.findall(r"`([A-Z_]+)`", words))
    table = "\n".join(re.findall(r"^\| (`[A-Z].*?) \|", PARTS["Before you type"], re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", table)) == set(Section(aws, "").variables)
