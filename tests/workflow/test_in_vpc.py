"""A pair whose staging server is checked at its private address, from inside the VPC: real requests to that address."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.test_vpc import PAIR as CONFIGURED, VPC, synthesized
from tests.workflow import engine
from tests.workflow.account import Aws, definition
from tests.workflow.web import Web

PRIVATE_IPS = {"bittybot": "127.0.0.21", "tao": "127.0.0.22"}
# Errors of Lambda's "Invoke" while a function in a VPC is made ready again.
INACTIVE_NAMES = ("ResourceNotReady", "ENINotReady", "EC2Throttled", "EC2Unexpected", "ResourceConflict")


class Inside:
    """A web server at each private address, on one port; `asked` are the addresses that were asked."""

    def __init__(self, port: int) -> None:
        self.status = dict.fromkeys(PRIVATE_IPS, 200)
        self.stores = dict.fromkeys(PRIVATE_IPS, "db-1")
        self.asked: list[str] = []
        self.servers = [ThreadingHTTPServer((ip, port), self._handler(name)) for name, ip in PRIVATE_IPS.items()]

    def _handler(self, name: str) -> type[BaseHTTPRequestHandler]:
        inside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # http.server's name
                inside.asked.append(name)
                self.send_response(inside.status[name])
                self.send_header("X-Store", inside.stores[name])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def inside(web: Web) -> Iterator[Inside]:
    inside = Inside(web.port)
    for server in inside.servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield inside
    for server in inside.servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def template_in_vpc(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("inside"), CONFIGURED, VPC)


@pytest.fixture
def in_vpc(aws: Aws, web: Web, template_in_vpc: dict[str, Any], tmp_path: Path) -> Aws:
    """The same pair, on servers whose private addresses answer, in a workflow that knows the VPC."""
    vpc = aws.ec2.create_vpc(CidrBlock="127.0.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="127.0.0.0/24")["Subnet"]["SubnetId"]
    for name, private_ip in PRIVATE_IPS.items():
        launched = aws.ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet, PrivateIpAddress=private_ip
        )
        aws.servers[name] = launched["Instances"][0]["InstanceId"]
    aws.place(production="bittybot", staging="tao")
    aws.configure(port=web.port, via="private", sharedHeader="X-Store")
    aws.state_machine = aws.sfn.create_state_machine(
        name=f"eip-cutover-{tmp_path.name}"[:80],
        definition=definition(template_in_vpc, table=aws.table, topic=aws.topic),
        roleArn="arn:aws:iam::123456789012:role/workflow",
    )["stateMachineArn"]
    return aws


def test_staging_is_checked_inside_the_vpc_and_production_at_its_public_address(in_vpc: Aws, inside: Inside) -> None:
    execution = in_vpc.execute({})
    assert execution.outcome == "CUT_OVER", execution.cause
    assert "HealthCheckStagingInVpc" in execution.states
    assert sorted(inside.asked) == ["bittybot", "tao"]  # tao's check, and what bittybot shares with it
    assert execution.output["production"]["privateIp"] == PRIVATE_IPS["tao"]


def test_a_staging_server_that_is_unhealthy_inside_the_vpc_is_refused(in_vpc: Aws, inside: Inside) -> None:
    inside.status["tao"] = 503
    execution = in_vpc.execute({})
    assert execution.outcome == "StagingUnhealthy"
    assert PRIVATE_IPS["tao"] in str(execution.cause)
    assert in_vpc.places == ("bittybot", "tao")


def test_the_shared_header_is_compared_inside_the_vpc(in_vpc: Aws, inside: Inside) -> None:
    inside.stores["tao"] = "db-2"
    assert in_vpc.execute({}).outcome == "PreflightFailed"


def test_a_server_that_is_unhealthy_only_outside_the_vpc_is_rolled_back(in_vpc: Aws, inside: Inside, web: Web) -> None:
    web.behaviour["tao"] = lambda _address: 500
    assert in_vpc.execute({}).outcome == "RolledBack"


@pytest.mark.parametrize(("failures", "outcome"), [(6, "CUT_OVER"), (1000, "PreflightFailed")])
def test_the_workflow_waits_for_a_function_that_is_inactive_at_first(
    in_vpc: Aws, inside: Inside, monkeypatch: pytest.MonkeyPatch, failures: int, outcome: str
) -> None:
    monkeypatch.setattr(engine, "TIME_SCALE", 0.0001)
    answers = chain(*(repeat(f"Lambda.{name}Exception", failures) for name in INACTIVE_NAMES), repeat(None))

    def inactive(state: str, run: Callable[[], Any]) -> Any:
        if state == "HealthCheckStagingInVpc" and (name := next(answers)):
            raise engine.FunctionEnded(name)
        return run()

    engine.AROUND_HANDLERS.append(inactive)
    try:
        execution = in_vpc.execute({})
    finally:
        engine.AROUND_HANDLERS.remove(inactive)
    assert execution.outcome == outcome, execution.cause
    assert (in_vpc.places == ("bittybot", "tao")) == (outcome != "CUT_OVER")
    assert in_vpc.locks == []
