"""The places of the addresses: an instance, its network interface, and the private address."""

from collections.abc import Callable

import pytest

from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

Ips = dict[str, str]


@pytest.fixture
def second(aws: Aws) -> Ips:
    """Each server has two private addresses on its interface; both Elastic IPs are on the second: by server."""
    ips = {name: aws.second_private_ip(name) for name in ("bittybot", "tao")}
    aws.associate(aws.production, "bittybot", private_ip=ips["bittybot"])
    aws.associate(aws.staging, "tao", private_ip=ips["tao"])
    return ips


def private_ips(aws: Aws) -> tuple[str | None, str | None]:
    return aws.described("production")["privateIp"], aws.described("staging")["privateIp"]


def test_production_goes_to_the_checked_private_address_and_staging_to_the_other(aws: Aws, second: Ips) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")
    assert private_ips(aws) == (second["tao"], second["bittybot"])
    assert aws.execute({}).outcome == "CUT_OVER"
    assert private_ips(aws) == (second["bittybot"], second["tao"])


def test_a_rehearsal_is_of_the_private_addresses_of_the_moves(aws: Aws, second: Ips, ec2_calls: EC2Calls) -> None:
    asked = []
    ec2_calls.on_call = lambda action, parameters: asked.append((action, parameters.get("PrivateIpAddress")))
    aws.execute({})
    rehearsed = [ip for action, ip in asked if action == "AssociateAddress (dry run)"]
    moved = [ip for action, ip in asked if action == "AssociateAddress"]
    assert rehearsed == moved == [second["tao"], second["bittybot"]]


def test_a_rollback_puts_both_addresses_back_on_their_private_addresses(aws: Aws, web: Web, second: Ips) -> None:
    web.behaviour["tao"] = sick_as_production
    assert aws.execute({}).outcome == "RolledBack"
    assert aws.places == ("bittybot", "tao")
    assert private_ips(aws) == (second["bittybot"], second["tao"])


def test_on_different_private_addresses_production_goes_where_staging_was(aws: Aws) -> None:
    second = aws.second_private_ip("bittybot")
    aws.associate(aws.production, "bittybot", private_ip=second)
    before = private_ips(aws)
    assert aws.execute({}).outcome == "CUT_OVER"
    assert private_ips(aws) == (before[1], before[0])


@pytest.mark.parametrize("finish", ["repair", "next start"])
def test_an_interrupted_cutover_is_finished_on_the_same_private_addresses(
    aws: Aws, second: Ips, stopped: Callable[[], str], finish: str
) -> None:
    dead = stopped()
    aws.disassociate(aws.staging)  # as if it had been stopped just before ReassociateStaging
    assert aws.holder(aws.staging) is None
    if finish == "repair":
        assert aws.repair(dead).outcome == "REPAIRED"
    else:
        assert aws.execute({}).outcome == "REPAIRED"
    assert aws.places == ("tao", "bittybot")
    assert private_ips(aws) == (second["tao"], second["bittybot"])


# What someone else does with production meanwhile is reported and stays.


@pytest.mark.parametrize("moment", ["right after our move", "while the new release is checked"])
def test_production_stays_where_someone_else_put_it(aws: Aws, web: Web, ec2_calls: EC2Calls, moment: str) -> None:
    aws.servers["stranger"] = aws.launch()

    def strangers_move() -> None:
        aws.associate(aws.production, "stranger")

    if moment == "right after our move":
        # After the looks before the lock, before the changes and before the move comes the look after the move.
        ec2_calls.before("DescribeAddresses", strangers_move, nth=5)
    else:

        def sick(address: str) -> int:
            if address == "production" and aws.holder(aws.production) == "tao":
                strangers_move()
            return 500 if address == "production" else 200

        web.behaviour["tao"] = web.behaviour["stranger"] = sick
    execution = aws.execute({})
    assert execution.outcome == "RollbackFailed"
    assert aws.places == ("stranger", "tao")
    cause = str(execution.cause)
    assert f"on {aws.interface_of('stranger')} of {aws.servers['stranger']}, which is not in the pair" in cause
    assert "Someone else moved it there during this execution, and it stays there." in cause
    assert aws.locks == []
