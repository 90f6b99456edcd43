"""The pipeline's Deploy action: the server that gets the release, the answers to CodePipeline, and the refusals."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from aws import records
from deploy_to_idle import DELIVERY_SECONDS, MARGIN_SECONDS, Deployment, IdleServer, NotDeployed, work
from domain.pair import Pair
from domain.record import Record, RollbackTo
from tests.unit.lock_table import LockTable
from tests.unit.test_servers import Clock

IDS = {"production": "eipalloc-0aaaaaaaaaaaaaaaa", "staging": "eipalloc-0bbbbbbbbbbbbbbbb"}
SERVERS = {"bittybot": "i-0aaaaaaaaaaaaaaaa", "tao": "i-0bbbbbbbbbbbbbbbb"}
CONFIGURED = {**IDS, "servers": SERVERS, "healthCheck": [], "bakeSeconds": 0, "alarms": []}
PAIR = Pair.from_json("web", CONFIGURED)
ASKED = {"pair": "web", "document": "Deploy-1a2b", "release": "8f2c6a9", "seconds": 600}


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class Ec2:
    """DescribeAddresses of a pair whose addresses are on these servers, or on none."""

    production: str | None = "bittybot"
    staging: str | None = "tao"
    fails: str | None = None

    def describe_addresses(self, *, AllocationIds: list[str]) -> dict[str, Any]:  # noqa: N803  # boto3's
        if self.fails:
            raise refused(self.fails, "DescribeAddresses")
        assert AllocationIds == list(IDS.values())
        addresses = [{"AllocationId": allocation_id, "PublicIp": "192.0.2.1"} for allocation_id in AllocationIds]
        for address, server in zip(addresses, (self.production, self.staging), strict=True):
            if server:
                address |= {"InstanceId": SERVERS.get(server, server), "AssociationId": "eipassoc-1"}
        return {"Addresses": addresses}


@dataclass
class Ssm:
    """Run Command: how the command stands, look by look; the last stays. A text is an error's code."""

    looks: list[dict[str, Any] | str] = field(default_factory=lambda: [{"Status": "Success"}])
    sent: list[dict[str, Any]] = field(default_factory=list)
    fails: str | None = None

    def send_command(self, **request: Any) -> dict[str, Any]:
        if self.fails:
            raise refused(self.fails, "SendCommand")
        self.sent.append(request)
        return {"Command": {"CommandId": "c-1"}}

    def get_command_invocation(self, **request: str) -> dict[str, Any]:
        assert request == {"CommandId": "c-1", "InstanceId": SERVERS["tao"]}
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, str):
            raise refused(look, "GetCommandInvocation")
        return look


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockTable]:
    with mock_aws():
        table = LockTable("locks-of-deployments")
        monkeypatch.setenv("LOCK_TABLE", table.name)
        yield table
    records.dynamodb_client.cache_clear()


def put(table: LockTable, **attributes: Any) -> None:
    table.put(pair="web", revision=4, **attributes)


def record(_table: LockTable) -> Record:
    return records.read_record("web")


def idle_server(ec2: Ec2 | None = None, ssm: Ssm | None = None, clock: Clock | None = None) -> IdleServer:
    clock = clock or Clock()
    return IdleServer(PAIR, ec2=ec2 or Ec2(), ssm=ssm or Ssm(), clock=clock.read, sleep=clock.sleep)


def send(idle: IdleServer) -> Deployment:
    return idle.send("Deploy-1a2b", release="8f2c6a9", seconds=600)


def test_after_a_deployment_a_rollback_has_no_server_to_go_back_to(table: LockTable) -> None:
    put(table, rollbackTo='{"server": "tao", "why": "it was live before"}', lastCutover='{"from": "tao"}')
    send(idle_server())
    assert record(table).rollback_to == RollbackTo(None, "the deployment of release 8f2c6a9 to tao began")
    assert (record(table).last_cutover or {})["from"] == "tao"
    assert record(table).revision == "5"


def test_after_a_deployment_what_an_interrupted_execution_moved_does_not_bring_a_server_back(table: LockTable) -> None:
    """It had moved production to bittybot: until then, tao was what a rollback goes back to."""
    put(table, interrupted="arn:1", server="bittybot", live="tao", stagingAssociation="eipassoc-0")
    assert record(table).settled("bittybot", "eipassoc-1").rollback_to.server == "tao"
    send(idle_server())
    settled = record(table).settled("bittybot", "eipassoc-1")
    why = "the deployment of release 8f2c6a9 to tao began"
    assert settled.rollback_to == RollbackTo(None, why, rejected=("bittybot",))
    assert settled.interrupted is not None, "its server and its private addresses stay"
    assert (settled.interrupted.execution, settled.interrupted.server) == ("arn:1", "bittybot")


def test_nothing_is_deployed_while_an_execution_holds_the_pair(table: LockTable) -> None:
    put(table, execution="arn:1", rollbackTo='{"server": "tao", "why": "it was live before"}')
    ssm = Ssm()
    with pytest.raises(NotDeployed, match="An execution holds the lock of pair web"):
        send(idle_server(ssm=ssm))
    assert ssm.sent == []
    assert record(table).rollback_to.server == "tao"


def test_nothing_is_deployed_if_the_record_cannot_be_read(table: LockTable) -> None:
    table.client.delete_table(TableName=table.name)
    ssm = Ssm()
    with pytest.raises(NotDeployed, match=r"Nothing was deployed\. The pair's record could not be read: "):
        send(idle_server(ssm=ssm))
    assert ssm.sent == []


@pytest.mark.parametrize(("live", "idle"), [("bittybot", "tao"), ("tao", "bittybot")])
def test_the_release_goes_to_the_server_that_holds_the_staging_address(live: str, idle: str) -> None:
    ssm = Ssm()
    deployment = send(idle_server(Ec2(production=live, staging=idle), ssm))
    assert (deployment.server, deployment.instance_id) == (idle, SERVERS[idle])
    (sent,) = ssm.sent
    assert sent["InstanceIds"] == [SERVERS[idle]]
    assert (sent["DocumentName"], sent["DocumentVersion"]) == ("Deploy-1a2b", "$LATEST")
    assert sent["Parameters"] == {"Release": ["8f2c6a9"]}


@pytest.mark.parametrize(
    ("ec2", "says"),
    [
        (Ec2(staging=None), "staging is"),
        (Ec2(production=None), "production is"),
        (Ec2(production="tao", staging="tao"), "Cannot tell which server of pair web is idle: production"),
        (Ec2(staging="i-0ccccccccccccccc0"), "i-0ccccccccccccccc0"),
        (Ec2(fails="RequestLimitExceeded"), "Cannot tell which server of pair web is idle."),
        (Ec2(fails="UnauthorizedOperation"), "Cannot tell which server of pair web is idle."),
    ],
)
def test_nothing_is_sent_if_it_is_not_certain_which_server_is_idle(ec2: Ec2, says: str) -> None:
    ssm = Ssm()
    with pytest.raises(NotDeployed, match=says):
        send(idle_server(ec2, ssm))
    assert ssm.sent == []


def test_a_server_without_an_agent_is_named() -> None:
    with pytest.raises(NotDeployed, match=r"did not accept the command for tao \(i-0b+\).*InvalidInstanceId.*agent"):
        send(idle_server(ssm=Ssm(fails="InvalidInstanceId")))


def test_a_command_that_is_not_visible_yet_is_described_again_until_it_ends() -> None:
    looks: list[dict[str, Any] | str] = ["InvocationDoesNotExist", {"Status": "Pending"}, {"Status": "InProgress"}]
    idle = idle_server(ssm=Ssm([*looks, "ThrottlingException", {"Status": "Success"}]))
    assert idle.finished(send(idle)) is True


def test_a_command_that_runs_longer_than_one_call_is_followed_in_the_next_call() -> None:
    clock = Clock()
    idle = idle_server(ssm=Ssm([{"Status": "InProgress"}]), clock=clock)
    assert idle.finished(send(idle)) is False
    assert clock.now - Clock.now < 60


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Cancelled"])
def test_a_command_that_fails_is_reported_with_its_output(status: str) -> None:
    look = {"Status": status, "StatusDetails": f"{status}!", "StandardErrorContent": "disk full\n"}
    idle = idle_server(ssm=Ssm([look]))
    with pytest.raises(NotDeployed, match=f"on tao .* ended {status}!.*Production was not touched.*disk full"):
        idle.finished(send(idle))


def test_a_command_with_an_unknown_status_fails_only_after_its_timeout() -> None:
    clock = Clock()
    idle = idle_server(ssm=Ssm(["ThrottlingException"]), clock=clock)
    deployment = send(idle)

    def until_it_ends() -> None:
        while not idle.finished(deployment):
            pass

    with pytest.raises(NotDeployed, match="before you try again"):
        until_it_ends()
    assert 0 < clock.now - (Clock.now + DELIVERY_SECONDS + 600 + MARGIN_SECONDS) < 60


def test_a_deployment_fails_if_its_server_becomes_live_meanwhile() -> None:
    ec2 = Ec2()
    idle = idle_server(ec2)
    deployment = send(idle)
    ec2.production, ec2.staging = "tao", "bittybot"
    with pytest.raises(NotDeployed, match="deployed to tao, which became live meanwhile"):
        idle.finished(deployment)


# What CodePipeline gets


@dataclass
class CodePipeline:
    results: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def put_job_success_result(self, **result: Any) -> None:
        self.results.append(("success", result))

    def put_job_failure_result(self, **result: Any) -> None:
        self.results.append(("failure", result))


def job(token: str | None = None) -> dict[str, Any]:
    configuration = {"FunctionName": "deploy", "UserParameters": json.dumps(ASKED)}
    data = {"actionConfiguration": {"configuration": configuration}}
    return {"id": "job-1", "data": data | ({"continuationToken": token} if token else {})}


def test_a_finished_deployment_names_the_server_for_the_cutover() -> None:
    codepipeline = CodePipeline()
    work(job(), ASKED, idle_server(), codepipeline)
    variables = {"server": "tao", "instanceId": SERVERS["tao"]}
    assert codepipeline.results == [("success", {"jobId": "job-1", "outputVariables": variables})]


def test_a_running_deployment_is_sent_once_and_followed_by_its_token() -> None:
    codepipeline, ssm = CodePipeline(), Ssm([{"Status": "InProgress"}])
    work(job(), ASKED, idle_server(ssm=ssm), codepipeline)
    ((kind, result),) = codepipeline.results
    assert kind == "success"
    assert set(result) == {"jobId", "continuationToken"}
    assert 1 <= len(result["continuationToken"]) <= 2048
    ssm.looks = [{"Status": "Success"}]
    work(job(result["continuationToken"]), ASKED, idle_server(ssm=ssm), codepipeline)
    assert codepipeline.results[1][1]["outputVariables"]["server"] == "tao"
    assert len(ssm.sent) == 1


def test_a_failed_deployment_fails_the_job_with_a_message_that_codepipeline_accepts() -> None:
    codepipeline = CodePipeline()
    work(job(), ASKED, idle_server(ssm=Ssm([{"Status": "Failed", "StandardErrorContent": "x" * 24_000}])), codepipeline)
    ((kind, result),) = codepipeline.results
    failure = result["failureDetails"]
    assert (kind, failure["type"]) == ("failure", "JobFailed")
    assert "on tao" in failure["message"]
    assert len(failure["message"]) <= 5000
