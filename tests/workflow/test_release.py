"""A release in one execution: it is deployed to the idle server, checked, and cut over to."""

import json
import re
from typing import Any

import pytest

from domain.pair import Pair
from domain.release_commands import document
from local.systems_manager_agents import Agent
from local.systems_manager_runs import HANGS, Result
from tests.workflow.account import DOCUMENTS, Aws
from tests.workflow.deployments import DEPLOY, OUTPUT, configure, deploying, one_after_the_other, refused
from tests.workflow.engine import redriven
from tests.workflow.web import Web, sick, sick_as_production

SEVEN = {"release": "7"}


@pytest.fixture
def servers(aws: Aws, web: Web) -> Web:
    configure(aws, web)
    return web


def test_a_release_is_deployed_and_becomes_live(aws: Aws, servers: Web) -> None:
    ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    states = [name for name in ended.states if name in ("HealthCheckLive", "DeployRelease", "Preflight", "MeasureGap")]
    assert states == ["HealthCheckLive", "DeployRelease", "Preflight", "MeasureGap"]
    (command,) = aws.systems_manager.commands
    assert command.status == "Success"
    deployed = aws.record.releases["tao"]
    of_execution = {"execution": ended.arn, "instanceId": aws.servers["tao"]}
    assert deployed | {"at": ""} == {"release": "7", "at": "", **of_execution, "deployed": True}
    assert aws.record.rollback_to.server == "bittybot"
    (item,) = aws._items
    assert not {"execution", "command", "commandRuns", "commandsOver"} & item.keys()


def test_a_command_gets_its_server_the_pair_the_release_and_the_execution(aws: Aws, servers: Web) -> None:
    ended = aws.execute({"release": "a/b+c=7.0_1-2"})
    (command,) = aws.systems_manager.commands
    assert command.instance_id == aws.servers["tao"]
    assert command.parameters == {
        "Step": "deploy", "Pair": "web", "Server": "tao", "Release": "a/b+c=7.0_1-2", "Execution": ended.arn,
        "TimeoutSeconds": "60",
    }  # fmt: skip
    configured = json.loads(aws.pairs_file.read_text())["web"]
    content = document(Pair.from_json("web", configured))
    assert content
    assert (command.document_name, command.document_version) == (f"{DOCUMENTS}{content.key}", "1")
    assert (command.comment, command.delivery_seconds) == (f"deploy {ended.arn.rpartition(':')[2]}", 60)


def test_the_hash_of_the_document_is_sent_so_that_no_other_document_can_run(aws: Aws, servers: Web) -> None:
    configured = json.loads(aws.pairs_file.read_text())["web"]
    content = document(Pair.from_json("web", configured))
    assert content
    aws.systems_manager.register(f"{DOCUMENTS}{content.key}", content.content.replace("/opt/web", "/opt/api"))
    ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.systems_manager.commands) == ("DeployFailed", [])
    assert "hash" in str(ended.cause)


# It is idempotent.


def test_the_same_input_again_deploys_nothing_and_swaps_nothing(aws: Aws, servers: Web) -> None:
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    back = aws.record.rollback_to
    again = aws.execute(SEVEN)
    assert (again.outcome, aws.places) == ("ALREADY_LIVE", ("tao", "bittybot"))
    assert len(aws.systems_manager.commands) == 1
    assert (aws.record.rollback_to, aws.locks) == (back, [])


def test_a_release_that_is_live_while_staging_is_on_no_server_is_repaired(aws: Aws, servers: Web) -> None:
    servers.headers["bittybot"]["X-Release"] = "7"
    aws.disassociate(aws.staging)
    aws.put_lock(aws.execute({"dryRun": True, "serverName": "tao"}).arn, server="tao")
    ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places) == ("REPAIRED", ("bittybot", "tao"))
    assert aws.systems_manager.commands == []


def test_staging_is_repaired_before_a_release_is_deployed(aws: Aws, servers: Web) -> None:
    aws.disassociate(aws.staging)
    ended = aws.execute({**SEVEN, "serverName": "tao"})
    assert (ended.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert ended.states.index("RepairStaging") < ended.states.index("DeployRelease")


def test_without_a_release_header_the_same_release_is_deployed_again(aws: Aws, web: Web) -> None:
    configure(aws, web, header=False)
    assert [aws.execute(SEVEN).outcome for _ in range(2)] == ["CUT_OVER"] * 2
    assert [command.parameters["Server"] for command in aws.systems_manager.commands] == ["tao", "bittybot"]


def test_a_live_server_that_does_not_answer_gets_a_new_release_beside_it(aws: Aws, servers: Web) -> None:
    servers.behaviour["bittybot"] = sick
    assert aws.execute({**SEVEN, "emergency": True}).outcome == "CUT_OVER"
    assert len(aws.systems_manager.commands) == 1


def test_one_bad_probe_of_a_live_server_does_not_deploy_its_release_again(aws: Aws, web: Web) -> None:
    check = {"unhealthyThresholdCount": 3, "healthyThresholdCount": 1, "releaseHeader": "X-Release"}
    aws.configure(port=web.port, pair={"deploy": DEPLOY}, **check)
    release = {"X-Release": "7"}
    web.headers["bittybot"], statuses = {}, iter([200])

    def late(_address: str) -> int:
        """It says its release from its second answer on, and is sick."""
        status = next(statuses, 500)
        web.headers["bittybot"] = release if status == 500 else {}
        return status

    web.behaviour["bittybot"] = late
    assert (aws.execute(SEVEN).outcome, aws.systems_manager.commands) == ("ALREADY_LIVE", [])


def test_a_dry_run_says_what_it_would_deploy_and_deploys_nothing(aws: Aws, servers: Web) -> None:
    ended = aws.execute({**SEVEN, "dryRun": True})
    assert ended.outcome == "DRY_RUN"
    assert ended.output["plan"]["steps"][0] == "deploy release 7 to tao"
    assert (aws.systems_manager.commands, aws.record.releases) == ([], {})


def test_after_a_rollback_the_same_input_deploys_again(aws: Aws, servers: Web) -> None:
    servers.behaviour["tao"] = sick_as_production
    rolled_back = aws.execute(SEVEN)
    assert (rolled_back.outcome, aws.places) == ("RolledBack", ("bittybot", "tao"))
    assert aws.record.rollback_to.rejected == ("tao",)
    servers.behaviour["tao"] = lambda _address: 200
    assert (aws.execute(SEVEN).outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert [command.parameters["Server"] for command in aws.systems_manager.commands] == ["tao", "tao"]
    assert aws.record.rollback_to.server == "bittybot"


def test_a_rollback_does_not_lead_to_a_release_that_did_not_answer(aws: Aws, servers: Web) -> None:
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    aws.systems_manager.runs(Result(), step="deploy")  # it says that it has deployed, and has not
    ended = aws.execute({"release": "8"})
    assert (ended.outcome, aws.places) == ("StagingUnhealthy", ("tao", "bittybot"))
    assert 'X-Release is "6", expected "8"' in str(ended.cause)
    assert aws.record.rollback_to.server is None
    rollback = aws.execute({"rollback": True})
    assert (rollback.outcome, aws.places) == ("PreflightFailed", ("tao", "bittybot"))
    assert "the deployment of release 8 to bittybot began" in str(rollback.cause)


def test_a_cutover_to_the_release_that_was_deployed_makes_a_rollback_possible_again(aws: Aws, servers: Web) -> None:
    servers.behaviour["tao"] = sick
    assert aws.execute(SEVEN).outcome == "StagingUnhealthy"
    servers.behaviour["tao"] = lambda _address: 200
    assert (aws.execute({}).outcome, aws.record.rollback_to.server) == ("CUT_OVER", "bittybot")
    assert (aws.execute({"rollback": True}).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


# It fails.

LINES = "".join(f"line {number}\n" for number in range(1, 31))
FAILURES: dict[str, tuple[Result, str]] = {
    "an exit code": (Result(3, "No space left\n"), "ended Failed with exit code 3. Its last lines:\n| No space left"),
    "no output": (Result(1), "ended Failed with exit code 1. Its last lines:\n| failed to run commands: exit status 1"),
    "a hang": (HANGS, "ended ExecutionTimedOut. Raise timeoutSeconds in cdk.json"),
    "control characters": (Result(1, "\x1b[31mred\x07\r\n"), "| ?[31mred?"),
    "a long line": (Result(1, "x" * 500), f"| {'x' * 197}..."),
    "what looks like a command": (Result(1, "Run:\naws ec2 release-address\n"), "\n| aws ec2 release-address"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_a_deployment_that_fails_leaves_production_untouched(aws: Aws, servers: Web, failure: str) -> None:
    result, said = FAILURES[failure]
    aws.systems_manager.runs(result, step="deploy")
    ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places) == ("DeployFailed", ("bittybot", "tao"))
    cause = str(ended.cause)
    assert cause.startswith(f"Production was not touched. deploy on tao ({aws.servers['tao']}) ended ")
    assert said in cause
    assert cause.isprintable() or set(re.findall(r"[^ -~]", cause)) == {"\n"}
    assert not [line for line in cause.splitlines() if line.startswith("aws ")]
    assert (aws.locks, one_after_the_other(aws)) == ([], True)
    assert aws.record.releases["tao"]["deployed"] is False
    aws.systems_manager.runs(deploying(servers), step="deploy")
    assert aws.execute(SEVEN).outcome == "CUT_OVER"


AGENTS: dict[Agent, tuple[str, str]] = {
    "missing": ("was not sent", "InvalidInstanceId"),
    "silent": ("DeliveryTimedOut", "Check that its agent runs and reaches Systems Manager."),
    "lost": ("Undeliverable", "Check that its agent runs and reaches Systems Manager."),
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_server_without_an_agent_that_answers_gets_no_release(aws: Aws, servers: Web, agent: Agent) -> None:
    aws.systems_manager.agents.manner[aws.servers["tao"]] = agent
    ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places, aws.locks) == ("DeployFailed", ("bittybot", "tao"), [])
    for said in AGENTS[agent]:
        assert said in str(ended.cause)


def test_a_deployment_that_is_refused_is_not_sent_again_and_leaves_the_record(aws: Aws, servers: Web) -> None:
    assert aws.execute({"release": "6.1"}).outcome == "CUT_OVER"
    before = aws.record
    with refused("ssm.SendCommand", "AccessDeniedException", "not authorized to perform: ssm:SendCommand"):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places) == ("DeployFailed", ("tao", "bittybot"))
    assert "not authorized to perform: ssm:SendCommand" in str(ended.cause)
    assert ended.states.count("DeployRelease") == 1
    assert (aws.record.releases, aws.record.rollback_to) == (before.releases, before.rollback_to)
    assert aws.execute({"rollback": True}).outcome == "CUT_OVER"


def test_a_deployment_that_is_throttled_is_sent_once_it_is_not(aws: Aws, servers: Web) -> None:
    with refused("ssm.SendCommand", "ThrottlingException", nth=1):
        assert aws.execute(SEVEN).outcome == "CUT_OVER"
    assert len(aws.systems_manager.commands) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_deployment_that_cannot_be_sent_for_long_fails_and_releases_the_lock(
    aws: Aws, servers: Web, code: str
) -> None:
    with refused("ssm.SendCommand", code):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places, aws.locks) == ("DeployFailed", ("bittybot", "tao"), [])
    assert code in str(ended.cause)
    assert aws.execute(SEVEN).outcome == "CUT_OVER"


def test_a_redriven_execution_runs_nothing(aws: Aws, servers: Web) -> None:
    with redriven():
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.systems_manager.commands) == ("PreflightFailed", [])
    assert "was redriven" in str(ended.cause)
    assert aws.repair(ended.arn).outcome == "REPAIRED"
    assert aws.locks == []


# Bad input.


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"release": "a b"}, "release = 'a b': it must have 1 to 128"),
        ({"release": "7", "rollback": True}, "rollback and release: leave one out"),
        ({"release": "7", "expectedRelease": "7"}, "release and expectedRelease: leave expectedRelease out"),
        ({"release": "7", "serverName": "bittybot"}, "release and serverName = bittybot, which is live"),
    ],
)
def test_a_release_that_cannot_be_meant_is_refused(aws: Aws, servers: Web, value: dict[str, Any], said: str) -> None:
    ended = aws.execute(value)
    assert (ended.outcome, aws.systems_manager.commands, aws.locks) == ("InvalidRequest", [], [])
    assert said in str(ended.cause)


def test_a_pair_without_deploy_takes_no_release(aws: Aws, web: Web) -> None:
    ended = aws.execute(SEVEN)
    assert ended.outcome == "InvalidRequest"
    assert "pair web has no deploy in cdk.json" in str(ended.cause)


def test_the_last_line_is_kept_for_those_who_watch(aws: Aws, servers: Web) -> None:
    aws.systems_manager.runs(HANGS, step="deploy")
    arn = aws.start(SEVEN)
    aws.until(lambda: bool(aws.record.lock and (aws.record.lock.command or {}).get("status") == "InProgress"))
    (command,) = aws.systems_manager.commands
    shown = aws.record.lock and aws.record.lock.command
    assert shown
    assert (shown["step"], shown["server"], shown["id"]) == ("deploy", "tao", command.id)
    assert "commandRuns" in aws.locks[0]
    aws.systems_manager.end(command, Result(output=OUTPUT))
    assert aws.wait(arn).outcome == "StagingUnhealthy"
