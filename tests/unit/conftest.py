"""The emulated EC2 in both of its forms, with two addresses and an instance; an account with a pair; and an empty
CloudWatch."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_cloudwatch import CloudWatchClient
from mypy_boto3_ec2 import EC2Client

from aws.calls import aws_client
from local.address_semantics import restore_address_semantics
from local.ec2 import REGION, Ec2
from local.missing_actions import add_missing_actions
from tests.unit.ec2_account import Ec2Account
from tests.unit.emulated_ec2 import PRODUCTION, STAGING, launch


@pytest.fixture(autouse=True)
def new_clients() -> Iterator[None]:
    """The clients that the functions keep have the endpoints of the first test that uses them."""
    yield
    aws_client.cache_clear()


@pytest.fixture(scope="module")
def account() -> Iterator[Ec2Account]:
    with mock_aws():
        yield Ec2Account()


@pytest.fixture
def ec2(account: Ec2Account) -> Ec2Account:
    account.reset()
    return account


@pytest.fixture(params=("over HTTP", "in process"), scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[EC2Client]:
    if request.param == "over HTTP":
        with Ec2() as ec2:
            yield ec2.client()
        return
    restore_address_semantics()
    add_missing_actions()
    with mock_aws():
        yield boto3.client("ec2", REGION)


@pytest.fixture
def production(client: EC2Client) -> str:
    return client.allocate_address(Address=PRODUCTION)["AllocationId"]


@pytest.fixture
def staging(client: EC2Client) -> str:
    return client.allocate_address(Address=STAGING)["AllocationId"]


@pytest.fixture
def instance(client: EC2Client) -> str:
    """A running instance whose one interface has two private addresses."""
    return launch(client, SecondaryPrivateIpAddressCount=1)


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatchClient]:
    with mock_aws():
        yield boto3.client("cloudwatch")
