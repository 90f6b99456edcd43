"""`docs/runbook.md`: each of its commands runs in the situation that it is for.

They run with the real AWS CLI and the real client, in a shell with the variables that the runbook documents.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from client.result import FAILURES
from local.aws import LocalAws
from local.environment import of_this_machine
from local.faults import Fault
from tests.local.situation import AS_BEFORE, SWAPPED, arn_of, deploy, lock_table, locks, places, put_lock, start_slowly
from tests.local.test_aborts import paused_in, repair_of, stop
from tests.runbook import PARTS, RUNBOOK, steps_of

PROJECT = Path(__file__).parents[2]


@dataclass
class Section:
    """Runs the steps of one section, one after the other, and records which have run."""

    aws: LocalAws
    heading: str
    wanted: str = "tao"
    execution: str = ""
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
        }

    def run(self, start: str, *, code: int | None = 0) -> str:
        """Run the step whose comment begins so. Returns its output. With `code` None, any exit code but 0 is right."""
        (step,) = (step for step in steps_of(self.heading) if step.startswith(f"# {start}"))
        self.ran.append(step)
        environment = of_this_machine() | self.aws.environment | self.variables | {"AWS_MAX_ATTEMPTS": "1"}
        done = subprocess.run(
            ["sh", "-uc", step], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
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

    with paused_in(aws, "ReassociateStaging", {"serverName": "bittybot"}) as arn:
        section.execution = arn
        section.run("Only if it must not continue")
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
    assert re.search(r"^sound +no", section.run("Where are the addresses"), re.MULTILINE)
    section.run("Name the server")
    assert places(aws) == SWAPPED


def rolled_back(aws: LocalAws, section: Section) -> None:
    deploy(aws, "fails-as-production")
    assert aws.execute({}).error == "RolledBack"
    assert places(aws) == AS_BEFORE
    seen = section.run("Is the old server healthy?")
    assert re.search(r"^sound +yes", seen, re.MULTILINE)
    assert "X-Server: bittybot" in seen
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
    assert "run: aws ec2 associate-address" in section.run("The cause", code=FAILURES["RollbackFailed"])
    # If the first command is refused, the second must not run: staging would push production off.
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="refused"))
    section.run("If you do not have the cause", code=None)
    assert places(aws) == SWAPPED
    section.run("If you do not have the cause")
    assert places(aws) == AS_BEFORE
    seen = section.run("It must say")
    assert "sound       yes" in seen
    assert "X-Server: bittybot" in seen


def repair_failed(aws: LocalAws, section: Section) -> None:
    with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
        aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="denied", times=None))
        stop(aws, arn)
    assert repair_of(aws, arn)["error"] == "RepairFailed"
    aws.ec2.faults.clear()
    assert places(aws) == ("tao", None)
    assert "RepairStaging failed with EC2Refused" in section.run("The last repair")
    assert re.search(r"^live +tao$", section.run("Who is live?"), re.MULTILINE)
    section.run("Name that server")
    assert places(aws) == SWAPPED
    assert locks(aws) == []


def aborted(aws: LocalAws, section: Section) -> None:
    with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
        stop(aws, arn)
    repair_of(aws, arn)
    seen = section.run("It should say")
    assert re.search(r"^sound +yes$", seen, re.MULTILINE)
    assert re.search(r"^lock +free$", seen, re.MULTILINE)
    assert "X-Server: tao" in seen
    section.wanted, section.execution = "bittybot", arn
    section.run("If it is the wrong release")
    assert places(aws) == AS_BEFORE
    assert section.run("Where did it hang").split() == ["ReassociateStaging"]


def production_on_no_server(aws: LocalAws, section: Section) -> None:
    aws.place(production=None, staging="tao")
    assert aws.execute({}).error == "PreflightFailed"
    assert "X-Server: tao" in section.run("Serve users again")
    assert places(aws) == ("tao", None)
    section.run("That may have")
    assert places(aws) == SWAPPED


def production_on_a_foreign_server(aws: LocalAws, section: Section) -> None:
    foreign = aws.ec2.launch("foreign")
    aws.ec2.client().associate_address(
        AllocationId=aws.addresses["production"].allocation_id, InstanceId=foreign, AllowReassociation=True
    )
    assert aws.execute({}).error == "PreflightFailed"
    seen = section.run("Which instance is it?")
    assert foreign in seen
    assert "foreign" in seen
    section.run("If it is a mistake")
    assert places(aws) == SWAPPED


def dead_lock(aws: LocalAws, section: Section) -> None:
    put_lock(aws, aws.execute({"dryRun": True}).arn)
    assert "dead: held by" in section.run("Who holds it")
    section.run("If it is dead")
    assert (places(aws), locks(aws)) == (SWAPPED, [])
    put_lock(aws, arn_of(aws, "nobody"))
    section.run("Only if no cutover")
    assert locks(aws) == []

    put_lock(aws, "someone, by hand")
    assert aws.execute({}).error == "PreflightFailed"
    assert section.run('"Not an execution"').strip() in ("", "None")
    section.run("Then delete it")
    assert (places(aws), locks(aws)) == (SWAPPED, [])


def the_old_release(aws: LocalAws, section: Section) -> None:
    aws.execute({"serverName": "tao"})
    section.run("With the same checks")
    assert places(aws) == AS_BEFORE
    assert "a rollback already" in Section(aws, section.heading).run("With the same checks")
    section.run('If it says "a rollback already"')
    assert places(aws) == SWAPPED


def the_api_of_ec2_is_down(aws: LocalAws, section: Section) -> None:
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="internal-error", times=None))
    assert "X-Server: bittybot" in section.run("Are users served?")
    section.run("Does EC2 answer", code=None)
    aws.ec2.faults.clear()
    section.run("Does EC2 answer")
    section.run("When it does")
    assert places(aws) == SWAPPED


def by_hand(aws: LocalAws, section: Section) -> None:
    assert section.run("1. ").strip() in ("", "None")
    seen = section.run("2. ")
    for server, ip in (("bittybot", aws.production_ip), ("tao", aws.staging_ip)):
        assert re.search(rf"^\S+\s{re.escape(ip)}\s{aws.servers[server].instance_id}$", seen, re.MULTILINE)
    assert "X-Server: tao" in seen
    section.run("3. ")
    assert places(aws) == ("bittybot", None)
    assert "X-Server: tao" in section.run("4. ")
    assert places(aws) == ("tao", None)

    # Back, as step 4 says, and forward again.
    section.wanted = "bittybot"
    section.run("4. ")
    section.run("5. ")
    assert places(aws) == AS_BEFORE
    section.wanted = "tao"
    for step in ("3. ", "4. ", "5. "):
        section.run(step)
    assert places(aws) == SWAPPED
    assert "ALREADY_LIVE" in section.run("6. ")


SITUATIONS: dict[str, Callable[[LocalAws, Section], None]] = {
    "Before you type": before_you_type,
    "InvalidRequest": invalid_request,
    "CutoverInProgress": cutover_in_progress,
    "StagingUnhealthy": staging_unhealthy,
    "PreflightFailed": preflight_failed,
    "AddressMoved": address_moved,
    "RolledBack": rolled_back,
    "RollbackFailed, eip-cutover-rollback-failed": rollback_failed,
    "RepairFailed, eip-cutover-repair-failed": repair_failed,
    "ABORTED, TIMED_OUT, eip-cutover-repair-ran": aborted,
    "Production is on no server": production_on_no_server,
    "Production is on a foreign server": production_on_a_foreign_server,
    "eip-cutover-lock-held-too-long, a dead lock": dead_lock,
    "The old release must come back now": the_old_release,
    "The API of EC2 is down": the_api_of_ec2_is_down,
    "The workflow cannot be started": by_hand,
}


@pytest.mark.parametrize("heading", SITUATIONS)
def test_the_commands_do_what_the_runbook_says_in_their_situation(aws: LocalAws, heading: str) -> None:
    section = Section(aws, heading)
    SITUATIONS[heading](aws, section)
    assert set(section.ran) == set(steps_of(heading))


def test_every_command_of_the_runbook_runs() -> None:
    assert {heading for heading in PARTS if steps_of(heading)} == set(SITUATIONS)
    assert RUNBOOK.count("\n```sh\n# ") == RUNBOOK.count("\n```") / 2 == len(SITUATIONS)


def test_every_variable_of_the_commands_is_documented_and_no_other(aws: LocalAws) -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \|", PARTS["Before you type"], re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", " ".join(rows)))
    steps = "\n".join(step for heading in SITUATIONS for step in steps_of(heading))
    assigned = set(re.findall(r"\b([A-Z_]+)=", steps))
    used = set(re.findall(r"\$\{?([A-Z_]+)", steps))
    assert used - assigned <= documented
    assert documented == set(Section(aws, "").variables)
