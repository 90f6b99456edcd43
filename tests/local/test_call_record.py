"""The local EC2 can be slow, and records every call."""

import time

import pytest
from botocore.exceptions import ClientError

from local.ec2 import Address, Ec2
from local.faults import Fault


def test_every_call_is_recorded_with_the_address_that_it_changes(ec2: Ec2, address: Address, tao: str) -> None:
    first = len(ec2.calls)
    association = ec2.associate(address, tao)
    ec2.client().describe_addresses(AllocationIds=[address.allocation_id])
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.client().disassociate_address(AssociationId=association, DryRun=True)
    ec2.client().disassociate_address(AssociationId=association)
    assert [(call.action, call.allocation_id) for call in ec2.calls[first:]] == [
        ("AssociateAddress", address.allocation_id),
        ("DescribeAddresses", None),
        ("DisassociateAddress (dry run)", None),
        ("DisassociateAddress", address.allocation_id),
    ]


def test_a_call_that_fails_is_recorded_as_well(ec2: Ec2, address: Address, tao: str) -> None:
    ec2.faults.inject(Fault(action="AssociateAddress", kind="refused"))
    first = len(ec2.calls)
    with pytest.raises(ClientError):
        ec2.associate(address, tao)
    assert [call.action for call in ec2.calls[first:]] == ["AssociateAddress"]


def test_with_a_latency_every_call_takes_longer_and_takes_effect_at_its_end(
    ec2: Ec2, address: Address, tao: str
) -> None:
    changed: list[float] = []
    ec2.on_change(lambda: changed.append(time.monotonic()))
    ec2.latency_seconds = 0.2
    first, began = len(ec2.calls), time.monotonic()
    ec2.client().describe_addresses()
    ec2.associate(address, tao)
    assert all(call.ended - call.began >= 0.2 for call in ec2.calls[first:])
    assert time.monotonic() - began >= 0.4
    assert changed[-1] >= ec2.calls[-1].began + 0.2
