"""Obstacles that can be found without a change are refused before any change, also in dry runs and repairs."""

from collections.abc import Callable
from typing import Any

import pytest

from local.network_interfaces import BORDER_GROUP_TAG
from tests.workflow.account import Aws, Execution
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick

FOREIGN_IP = "127.0.0.77"
Foreign = Callable[[str], str]
BOTH = pytest.mark.parametrize("dry_run", [True, False])


def refused(aws: Aws, ec2_calls: EC2Calls, execution: Execution, *says: str) -> None:
    """Nothing was changed, and the cause says what was found and what to do."""
    assert execution.outcome == "PreflightFailed"
    for part in (*says, "Nothing was changed."):
        assert part in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.locks == []


@pytest.fixture
def foreign(aws: Aws) -> Foreign:
    """Another team's script puts its Elastic IP on a server, on its only private address: the allocation id."""

    def put(server: str) -> str:
        allocation_id = aws.ec2.allocate_address(Domain="vpc", Address=FOREIGN_IP)["AllocationId"]
        aws.associate(allocation_id, server)
        return str(allocation_id)

    return put


# Another team's Elastic IP.


@BOTH
@pytest.mark.parametrize("server_name", ["tao", "bittybot"])
@pytest.mark.parametrize("behaviour", ["healthy", "unhealthy"])
def test_another_teams_address_on_the_idle_server_is_not_displaced(
    aws: Aws, web: Web, ec2_calls: EC2Calls, foreign: Foreign, dry_run: bool, server_name: str, behaviour: str
) -> None:
    allocation_id = foreign("tao")
    assert aws.places == ("bittybot", None)
    if behaviour == "unhealthy":
        web.behaviour["tao"] = sick
    execution = aws.execute({"serverName": server_name, "dryRun": dry_run})
    refused(aws, ec2_calls, execution, FOREIGN_IP, "tao", "aws ec2 disassociate-address --association-id eipassoc-")
    assert aws.holder(allocation_id) == "tao"


def test_the_command_of_the_refusal_makes_room(aws: Aws, foreign: Foreign) -> None:
    foreign("tao")
    cause = str(aws.execute({"serverName": "tao"}).cause)
    aws.ec2.disassociate_address(AssociationId=cause.split("--association-id ")[1].split(",", maxsplit=1)[0])
    assert aws.execute({"serverName": "tao"}).outcome == "CUT_OVER"


def test_the_repair_does_not_displace_another_teams_address(aws: Aws, ec2_calls: EC2Calls, foreign: Foreign) -> None:
    dead = aws.execute({"dryRun": True}).arn
    aws.put_lock(dead, server="tao")
    aws.forget_notices()
    allocation_id = foreign("tao")
    execution = aws.repair(dead)
    assert execution.outcome == "RepairFailed"
    assert FOREIGN_IP in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.holder(allocation_id) == "tao"
    assert aws.locks == []


# What EC2 refuses only when it is really asked.


@BOTH
@pytest.mark.parametrize("staging_on", ["tao", None])
def test_addresses_of_two_border_groups_cannot_change_places(
    aws: Aws, web: Web, ec2_calls: EC2Calls, dry_run: bool, staging_on: str | None
) -> None:
    tag: Any = {"Key": BORDER_GROUP_TAG, "Value": "us-east-1-bos-1"}
    aws.ec2.create_tags(Resources=[aws.staging], Tags=[tag])
    if staging_on is None:
        aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "tao", "dryRun": dry_run})
    refused(aws, ec2_calls, execution, "us-east-1-bos-1", "network border group us-east-1,")


@BOTH
def test_a_server_in_another_border_group_is_refused(aws: Aws, web: Web, ec2_calls: EC2Calls, dry_run: bool) -> None:
    aws.disassociate(aws.staging)
    aws.servers["tao"] = aws.launch(zone="us-east-1-bos-1a")
    aws.configure(port=web.port)
    execution = aws.execute({"serverName": "tao", "dryRun": dry_run})
    refused(aws, ec2_calls, execution, "tao", "us-east-1-bos-1")


@BOTH
def test_a_dual_stack_name_without_another_address_is_refused(aws: Aws, ec2_calls: EC2Calls, dry_run: bool) -> None:
    interface = aws.interface_of("tao")
    aws.ec2.modify_public_ip_dns_name_options(NetworkInterfaceId=interface, HostnameType="public-dual-stack-dns-name")
    execution = aws.execute({"dryRun": dry_run})
    refused(aws, ec2_calls, execution, interface, "aws ec2 modify-public-ip-dns-name-options")
    aws.ec2.modify_public_ip_dns_name_options(NetworkInterfaceId=interface, HostnameType="public-ipv4-dns-name")
    assert aws.execute({}).outcome == "CUT_OVER"


# Production is never moved on a guess.


@BOTH
@pytest.mark.parametrize(
    ("production", "staging"), [("tao", None), ("bittybot", None), ("tao", "tao"), ("bittybot", "bittybot")]
)
def test_in_a_pair_that_is_not_sound_the_input_must_name_the_server(
    aws: Aws, ec2_calls: EC2Calls, dry_run: bool, production: str, staging: str | None
) -> None:
    aws.place(production=production, staging=None)
    if staging:
        aws.associate(aws.staging, staging, private_ip=aws.second_private_ip(staging))
    execution = aws.execute({"dryRun": dry_run})
    inputs = [f'{{"pair": "web", "serverName": "{name}"}}' for name in ("bittybot", "tao")]
    refused(aws, ec2_calls, execution, f"on {production}", f"on {staging or 'no server'}", *inputs)
    assert aws.places == (production, staging)


def test_an_unsound_pair_that_another_execution_changes_is_a_cutover_in_progress(aws: Aws, ec2_calls: EC2Calls) -> None:
    second: list[Execution] = []
    ec2_calls.before("AssociateAddress", lambda: second.append(aws.execute({})))
    assert aws.execute({}).outcome == "CUT_OVER"
    assert [execution.outcome for execution in second] == ["CutoverInProgress"]
