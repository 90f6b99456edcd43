"""What a pair's checks require beyond a good answer: the server, the release, the store, the bake, and no alarms."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from local.missing_actions import StatusCheck, set_status
from tests.unit.test_alarms import put_alarm
from tests.workflow.account import Aws, Execution
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import REGION
from tests.workflow.web import Web, sick, sick_as_production, well

UNCHANGED, SWAPPED = ("bittybot", "tao"), ("tao", "bittybot")
ALARM = "web-5xx"
Headers = dict[str, dict[str, str]]


def refused(aws: Aws, calls: EC2Calls, execution: Execution, outcome: str, says: str) -> None:
    """The execution ended with this error and cause, and changed nothing."""
    assert execution.outcome == outcome, execution.cause
    assert says in str(execution.cause)
    assert "Nothing was changed." in str(execution.cause)
    assert calls.changes == []
    assert aws.places == UNCHANGED
    assert aws.locks == []


def rolled_back(aws: Aws, execution: Execution, says: str) -> None:
    assert execution.outcome == "RolledBack", execution.cause
    assert says in str(execution.cause)
    assert aws.places == UNCHANGED
    assert aws.locks == []


# Which release.


@pytest.fixture
def releases(aws: Aws, web: Web) -> Headers:
    aws.configure(port=web.port, releaseHeader="X-Release")
    web.headers["tao"]["X-Release"] = "2"
    return web.headers


def test_the_release_that_ci_expects_must_answer_before_and_after(aws: Aws, releases: Headers) -> None:
    execution = aws.execute({"expectedRelease": "2"})
    assert execution.outcome == "CUT_OVER", execution.cause
    assert aws.places == SWAPPED


def test_another_release_on_staging_is_refused(aws: Aws, ec2_calls: EC2Calls, releases: Headers) -> None:
    refused(aws, ec2_calls, aws.execute({"expectedRelease": "3"}), "StagingUnhealthy", "X-Release")


def test_another_release_after_the_cutover_is_rolled_back(aws: Aws, ec2_calls: EC2Calls, releases: Headers) -> None:
    ec2_calls.before("AssociateAddress", lambda: releases["tao"].update({"X-Release": "1"}))
    rolled_back(aws, aws.execute({"expectedRelease": "2"}), "ProductionUnhealthy")


def test_a_server_that_is_live_already_must_answer_with_the_release_that_was_asked_for(
    aws: Aws, ec2_calls: EC2Calls, releases: Headers
) -> None:
    asked = {"serverName": "bittybot", "expectedRelease": "1"}
    execution = aws.execute(asked)
    assert (execution.outcome, "HealthCheckLive" in execution.states) == ("ALREADY_LIVE", True)
    execution = aws.execute(asked | {"expectedRelease": "2"})
    refused(aws, ec2_calls, execution, "PreflightFailed", "X-Release")
    assert f"bittybot ({aws.servers['bittybot']}) is not healthy" in str(execution.cause)
    assert "HealthCheckLive" not in aws.execute({"serverName": "bittybot"}).states


def test_a_repair_does_not_begin_if_another_release_is_live(aws: Aws, ec2_calls: EC2Calls, releases: Headers) -> None:
    aws.disassociate(aws.staging)
    asked = {"serverName": "bittybot", "expectedRelease": "1"}
    execution = aws.execute(asked | {"expectedRelease": "2"})
    assert (execution.outcome, aws.places, ec2_calls.changes) == ("PreflightFailed", ("bittybot", None), [])
    assert aws.execute(asked).outcome == "REPAIRED"
    assert aws.places == UNCHANGED


# Who answers.


def test_what_an_interrupted_execution_left_is_repaired_before_another_release_is_refused(
    aws: Aws, web: Web, stopped: Callable[[], str]
) -> None:
    """The execution takes the dead lock over, so no repair comes later."""
    stopped()
    aws.configure(port=web.port, releaseHeader="X-Release")
    aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "tao", "expectedRelease": "9"})
    assert execution.outcome == "PreflightFailed"
    assert "Staging was not on the idle server, and was put on bittybot." in str(execution.cause)
    assert (aws.places, aws.locks) == (("tao", "bittybot"), [])


# Who answers.


def test_a_cutover_fails_if_another_server_answers_for_production(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    """A cache, a proxy or a stale route: the status is good, the wrong server says so."""
    aws.configure(port=web.port, identityHeader="X-Server")
    ec2_calls.before("AssociateAddress", lambda: web.headers["tao"].update({"X-Server": "bittybot"}))
    rolled_back(aws, aws.execute({}), 'X-Server is "bittybot", expected "tao"')


def test_the_restored_server_need_not_have_the_identity_of_the_other(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, identityHeader="X-Server")
    web.behaviour["tao"] = sick_as_production
    rolled_back(aws, aws.execute({}), "bittybot answers its health check as production")


# Do they share their data.


def test_servers_that_each_have_their_own_store_are_refused(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    aws.configure(port=web.port, sharedHeader="X-Store")
    web.headers["tao"]["X-Store"] = "db-2"
    execution = aws.execute({})
    refused(aws, ec2_calls, execution, "PreflightFailed", "X-Store")
    for words in ("db-1", "db-2", "is missing on the other"):
        assert words in str(execution.cause)


def test_a_dead_live_server_does_not_block_the_cutover_away_from_it(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, sharedHeader="X-Store")
    del web.headers["bittybot"]["X-Store"]
    web.behaviour["bittybot"] = sick
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    (warning,) = execution.output["warnings"]
    assert "X-Store of tao was not compared: production is not healthy" in warning
    assert warning in aws.messages[0]["default"]
    assert aws.notices[0]["warnings"] == [warning]


# For how long, and no alarms.


@pytest.fixture
def cloudwatch(aws: Aws) -> Iterator[Any]:
    client = boto3.client("cloudwatch", REGION)
    put_alarm(client, ALARM)
    yield client
    client.delete_alarms(AlarmNames=[ALARM])


def test_a_server_that_fails_during_the_bake_is_rolled_back(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": 20}, unhealthyThresholdCount=2)
    asked: list[str] = []

    def well_at_first(address: str) -> int:
        asked.append(address)
        return 500 if asked.count("production") > 1 else 200

    web.behaviour["tao"] = well_at_first
    rolled_back(aws, aws.execute({}), "during the bake")


def test_an_alarm_that_is_in_alarm_blocks_the_start(aws: Aws, web: Web, ec2_calls: EC2Calls, cloudwatch: Any) -> None:
    aws.configure(port=web.port, pair={"alarms": [ALARM]})
    put_alarm(cloudwatch, ALARM, "ALARM", "7 answers of 500 in 1 minute")
    refused(aws, ec2_calls, aws.execute({}), "PreflightFailed", "7 answers of 500")
    put_alarm(cloudwatch, ALARM)
    assert aws.execute({}).outcome == "CUT_OVER"


def test_an_alarm_that_is_raised_during_the_bake_is_rolled_back(aws: Aws, web: Web, cloudwatch: Any) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": 20, "alarms": [ALARM]})
    baking = threading.Event()

    def tells(address: str) -> int:
        if address == "production" and not baking.is_set():
            put_alarm(cloudwatch, ALARM, "ALARM")
            baking.set()
        return well(address)

    web.behaviour["tao"] = tells
    execution = aws.execute({})
    assert baking.is_set()
    rolled_back(aws, execution, ALARM)


# EC2's own checks.


@pytest.mark.parametrize("check", ["system_status", "instance_status"])
def test_a_server_that_ec2_finds_impaired_is_refused(aws: Aws, ec2_calls: EC2Calls, check: StatusCheck) -> None:
    set_status(ec2_backends[DEFAULT_ACCOUNT_ID][REGION], aws.servers["tao"], check, "impaired")
    refused(aws, ec2_calls, aws.execute({}), "PreflightFailed", "impaired")


def test_a_live_server_that_ec2_finds_impaired_may_be_left(aws: Aws) -> None:
    set_status(ec2_backends[DEFAULT_ACCOUNT_ID][REGION], aws.servers["bittybot"], "system_status", "impaired")
    assert aws.execute({}).outcome == "CUT_OVER"


@pytest.mark.parametrize(
    "action", ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeInstanceStatus", "DescribeAddressTransfers"]
)
def test_a_missing_permission_to_describe_is_named(aws: Aws, ec2_calls: EC2Calls, action: str) -> None:
    ec2_calls.fail(action, "UnauthorizedOperation")
    refused(aws, ec2_calls, aws.execute({}), "PreflightFailed", f"{action} of")


@pytest.mark.parametrize("code", ["SomethingNew", "AuthFailure", "InternalError", "RequestLimitExceeded"])
@pytest.mark.parametrize("value", [{}, {"dryRun": True}])
def test_an_offer_that_cannot_be_checked_is_a_warning(
    aws: Aws, ec2_calls: EC2Calls, code: str, value: dict[str, bool]
) -> None:
    ec2_calls.fail_from_now_on("DescribeAddressTransfers", code)
    execution = aws.execute(value)
    assert execution.outcome == ("DRY_RUN" if value else "CUT_OVER")
    (warning,) = execution.output["warnings"]
    assert warning.startswith("Cannot tell whether an address is offered to another account: DescribeAddressTransfers")
    assert code in warning


# Servers with several network interfaces.


def test_addresses_change_places_on_the_interfaces_that_are_configured(aws: Aws, web: Web) -> None:
    interfaces = {name: second_interface(aws, name) for name in ("bittybot", "tao")}
    aws.configure(port=web.port)
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "2 network interfaces" in str(execution.cause)
    for allocation_id, name in ((aws.production, "bittybot"), (aws.staging, "tao")):
        aws.disassociate(allocation_id)
        aws.ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interfaces[name])
    aws.configure(port=web.port, pair={"networkInterfaces": interfaces})
    assert aws.execute({}).outcome == "CUT_OVER"
    addresses = aws.ec2.describe_addresses(AllocationIds=[aws.production, aws.staging])["Addresses"]
    after = {aws.production: interfaces["tao"], aws.staging: interfaces["bittybot"]}
    assert {each["AllocationId"]: each["NetworkInterfaceId"] for each in addresses} == after


def second_interface(aws: Aws, name: str) -> str:
    (subnet, *_) = aws.ec2.describe_subnets()["Subnets"]
    interface = aws.ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]
    aws.ec2.attach_network_interface(
        NetworkInterfaceId=interface["NetworkInterfaceId"], InstanceId=aws.servers[name], DeviceIndex=1
    )
    return str(interface["NetworkInterfaceId"])
