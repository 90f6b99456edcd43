"""What is refused before any change: wrong inputs, unfit pairs, unhealthy servers, addresses that moved."""

import pytest

from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "[] (list)"),
        (
            {"server": "tao"},
            "only the keys pair, serverName, dryRun, expectedRelease, rollback, emergency, waitSeconds, release are",
        ),
        ({"expectedRelease": "2"}, "no check of pair web has a releaseHeader"),
    ],
)
def test_an_invalid_request_calls_and_locks_nothing(aws: Aws, ec2_calls: EC2Calls, value: object, says: str) -> None:
    execution = aws.execute(value)
    assert execution.outcome == "InvalidRequest"
    assert says in str(execution.cause)
    assert execution.states == ["DescribeAddresses", "Notify", "PutEvent", "Outcome?", "InvalidRequest"]
    assert ec2_calls.made == []


def test_an_unhealthy_idle_server_is_refused_with_its_problem(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick
    execution = aws.execute({})
    assert execution.outcome == "StagingUnhealthy"
    assert "tao" in str(execution.cause)
    assert "expected status 200, found 500" in str(execution.cause)
    assert str(execution.cause).endswith("Nothing was changed.")
    assert aws.places == ("bittybot", "tao")
    assert ec2_calls.changes == []
    assert aws.locks == []


def test_production_on_no_server_is_refused_with_the_inputs_that_name_a_server_that_can_take_it(aws: Aws) -> None:
    aws.disassociate(aws.production)
    aws.ec2.stop_instances(InstanceIds=[aws.servers["bittybot"]])
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert f"bittybot ({aws.servers['bittybot']}) is stopped and holds no address." in str(execution.cause)
    assert f"tao ({aws.servers['tao']}) is running and holds staging. Nothing was changed." in str(execution.cause)
    assert str(execution.cause).endswith('Start again with {"pair": "web", "serverName": "tao"}.')
    assert aws.places == (None, "tao")


def test_a_stopped_idle_server_is_refused(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    aws.configure(port=web.port, unhealthyThresholdCount=3)  # it does not answer either, which takes longer to find
    aws.ec2.stop_instances(InstanceIds=[aws.servers["tao"]])
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "should become live, but is stopped" in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.locks == []


@pytest.mark.parametrize("action", ["AssociateAddress", "DisassociateAddress"])
def test_a_missing_permission_is_found_before_anything_is_changed(aws: Aws, ec2_calls: EC2Calls, action: str) -> None:
    ec2_calls.fail(f"{action} (dry run)", "UnauthorizedOperation")
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert f"{action} of" in str(execution.cause)
    assert "UnauthorizedOperation" in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.places == ("bittybot", "tao")


@pytest.mark.parametrize("staging", ["tao", None])
@pytest.mark.parametrize("moved", ["production", "staging"])
def test_an_address_that_someone_moved_meanwhile_is_not_touched(
    aws: Aws, ec2_calls: EC2Calls, moved: str, staging: str | None
) -> None:
    aws.place(production="bittybot", staging=staging)
    aws.servers["stranger"] = aws.launch()
    address = aws.production if moved == "production" else aws.staging
    # After the look of DescribeAddresses, the second is that of DisassociateStaging or RepairStaging.
    ec2_calls.before("DescribeAddresses", lambda: aws.associate(address, "stranger"), nth=2)
    execution = aws.execute({} if staging else {"serverName": "bittybot"})
    assert execution.outcome == "AddressMoved"
    assert f"The {moved} address" in str(execution.cause)
    assert str(execution.cause).endswith("Nothing was changed.")
    assert ec2_calls.changes == []
    assert aws.holder(address) == "stranger"
