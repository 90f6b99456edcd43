"""CheckServers: in which order a plan's servers and alarms are looked at, and for how long."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_cloudwatch import CloudWatchClient

from check_servers import refuse_unfit
from domain.errors import PreflightFailed
from domain.plan import Plan
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_alarms import put_alarm
from tests.unit.test_servers import PLAN, Clock, FakeEc2, of


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatchClient]:
    with mock_aws():
        yield boto3.client("cloudwatch")


def of_the_pair(**changed: Any) -> Plan:
    return replace(PLAN, pair=replace(PLAN.pair, health_check=[{"deadlineSeconds": 20}], **changed))


def refused(plan: Plan, ec2: FakeEc2, clock: Clock) -> str:
    with pytest.raises(PreflightFailed) as raised:
        refuse_unfit(plan, of(plan, ec2, clock))
    return str(raised.value)


def test_status_checks_are_waited_for_as_long_as_the_longest_deadline() -> None:
    plan = replace(
        PLAN, pair=replace(PLAN.pair, health_check=[{"deadlineSeconds": seconds} for seconds in (5, 20, 10)])
    )
    ec2, clock = FakeEc2(statuses=[{"SystemStatus": "initializing"}]), Clock()
    assert "were not over within 20 s" in refused(plan, ec2, clock)
    assert clock.now == 120


def test_an_alarm_that_is_raised_is_told_before_the_status_checks_are_waited_for(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors", "ALARM")
    ec2, clock = FakeEc2(statuses=[{"SystemStatus": "initializing"}]), Clock()
    assert 'The alarm "errors" is in ALARM' in refused(of_the_pair(alarms=["errors"]), ec2, clock)
    assert (ec2.looks, clock.now) == (0, 100)


def test_alarms_that_do_not_exist_are_named_in_part_and_printably(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors")
    missing = ["errors", "a\n", "x" * 255, "c", "d", "e"]
    assert refused(of_the_pair(alarms=missing), FakeEc2(), Clock()) == (
        f'CloudWatch has no alarm named "a?", "{"x" * 77}...", "c" (and 2 more). Correct alarms in cdk.json and deploy.'
    )


def test_alarms_that_cannot_be_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = saying(b"denied").replace(b"200 OK", b"403 Forbidden")
    with serving(answering(denied)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        said = refused(of_the_pair(alarms=["errors"]), FakeEc2(), Clock())
    assert said.startswith("The pair's alarms cannot be read: DescribeAlarms failed: ")


def test_calm_alarms_and_servers_that_are_fit_are_not_refused(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors")
    ec2 = FakeEc2()
    plan = of_the_pair(alarms=["errors"])
    refuse_unfit(plan, of(plan, ec2, Clock()))
    assert set(ec2.asked) == {"DescribeInstances", "DescribeAddressTransfers", "DescribeInstanceStatus"}
