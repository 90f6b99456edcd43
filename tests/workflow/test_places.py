"""The addresses change places: an instance, its network interface, and the private address on it."""

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


def test_production_goes_to_the_private_address_that_was_checked_and_staging_to_the_one_it_left(
    aws: Aws, second: Ips
) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")
    assert private_ips(aws) == (second["tao"], second["bittybot"])
    assert aws.execute({}).outcome == "CUT_OVER"
    assert private_ips(aws) == (second["bittybot"], second["tao"])


def test_a_rehearsal_is_of_the_private_addresses_that_the_moves_go_to(
    aws: Aws, second: Ips, ec2_calls: EC2Calls
) -> None:
    asked = []
    ec2_calls.on_call = lambda action, parameters: asked.append((action, parameters.get("PrivateIpAddress")))
    aws.execute({})
    rehearsed = [ip for action, ip in asked if action == "AssociateAddress (dry run)"]
    moved = [ip for action, ip in asked if action == "AssociateAddress"]
    assert rehearsed == moved == [second["tao"], second["bittybot"]]


def test_a_rollback_puts_both_addresses_back_on_the_private_addresses_they_were_on(
    aws: Aws, web: Web, second: Ips
) -> None:
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
def test_what_was_interrupted_is_finished_on_the_same_private_addresses(
    aws: Aws, web: Web, second: Ips, stopped: Callable[[str], str], finish: str
) -> None:
    dead = stopped("HealthCheckProduction")
    aws.disassociate(aws.staging)  # as if it had been stopped just before ReassociateStaging
    assert aws.holder(aws.staging) is None
    if finish == "repair":
        assert aws.repair(dead).outcome == "REPAIRED"
    else:
        assert aws.execute({}).outcome == "REPAIRED"
    assert aws.places == ("tao", "bittybot")
    assert private_ips(aws) == (second["tao"], second["bittybot"])


@pytest.fixture
def stopped(aws: Aws, web: Web) -> Callable[[str], str]:
    """An execution that was stopped in a state in which it asks production: its ARN."""

    def stop(state: str) -> str:
        aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
        web.gates["production"].clear()
        arn = aws.start({})
        aws.wait_for(arn, state)
        aws.until(lambda: web.waiting["production"] > 0)
        aws.sfn.stop_execution(executionArn=arn)
        web.open_gates()
        aws.until(lambda: aws.status(arn) == "ABORTED")
        aws.forget_notices()
        aws.configure(port=web.port)
        return arn

    return stop


# What someone else does with production meanwhile is reported and stays.


@pytest.mark.parametrize("moment", ["right after our move", "while the new release is checked"])
def test_production_stays_where_someone_else_put_it_and_the_outcome_says_so(
    aws: Aws, web: Web, ec2_calls: EC2Calls, moment: str
) -> None:
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
