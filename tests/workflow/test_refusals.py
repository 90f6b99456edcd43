"""What is refused before anything is changed: wrong inputs, unfit pairs, sick servers, addresses that moved."""

import pytest

from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "[] (list)"),
        ("go", "'go'"),
        (5, "5 (int)"),
        ({"pair": ""}, "pair = ''"),
        ({"pair": "api"}, "the configured pairs are web"),
        ({"server": "tao"}, "only the keys pair, serverName, dryRun, expectedRelease are allowed"),
        ({"serverName": "t" * 10_000}, "(10000 characters)"),
        ({"serverName": '{% $states.input %}"\n'}, "the servers of pair web are bittybot and tao"),
        ({"dryRun": "yes"}, "dryRun must be a boolean"),
        ({"interrupted": "tao"}, "the key 'interrupted'"),
        ({"expectedRelease": 2}, "expectedRelease must be a string"),
        ({"expectedRelease": "2"}, "no check of pair web has a releaseHeader"),
        ({"expectedRelease": ""}, "1 to 256 characters"),
        ({"expectedRelease": "2" * 257}, "1 to 256 characters"),
        ({"expectedRelease": "2\n3"}, "printable ASCII"),
        ({"expectedRelease": " 2"}, "without spaces around"),
    ],
)
def test_a_wrong_input_is_an_invalid_request_and_takes_no_lock(
    aws: Aws, ec2_calls: EC2Calls, value: object, says: str
) -> None:
    execution = aws.execute(value)
    assert execution.outcome == "InvalidRequest"
    assert says in str(execution.cause)
    assert execution.states == ["DescribeAddresses", "Notify", "PutEvent", "Outcome?", "InvalidRequest"]
    assert ec2_calls.made == []


def test_a_sick_idle_server_is_refused_and_the_cause_says_what_was_found(
    aws: Aws, web: Web, ec2_calls: EC2Calls
) -> None:
    web.behaviour["tao"] = sick
    execution = aws.execute({})
    assert execution.outcome == "StagingUnhealthy"
    assert "tao" in str(execution.cause)
    assert "expected status 200, found 500" in str(execution.cause)
    assert str(execution.cause).endswith("Nothing was changed.")
    assert aws.places == ("bittybot", "tao")
    assert ec2_calls.changes == []
    assert aws.locks == []


def test_production_on_no_server_is_refused_with_the_command_that_helps(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.disassociate(aws.production)
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "aws ec2 associate-address --allocation-id " + aws.production in str(execution.cause)
    assert ec2_calls.made == ["DescribeAddresses"]


def test_an_address_on_an_instance_outside_the_pair_is_refused(aws: Aws) -> None:
    aws.servers["stranger"] = aws.launch()
    aws.associate(aws.staging, "stranger")
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "which is not in the pair web" in str(execution.cause)
    assert aws.places == ("bittybot", "stranger")


def test_an_address_that_does_not_exist_is_refused(aws: Aws) -> None:
    aws.disassociate(aws.staging)
    aws.ec2.release_address(AllocationId=aws.staging)
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "InvalidAllocationID.NotFound" in str(execution.cause)


def test_a_stopped_idle_server_is_refused(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    aws.configure(port=web.port, unhealthyThresholdCount=3)  # it does not answer either, which takes longer to find
    aws.ec2.stop_instances(InstanceIds=[aws.servers["tao"]])
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "is to become live and is stopped" in str(execution.cause)
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


@pytest.mark.parametrize("moved", ["production", "staging"])
def test_an_address_that_somebody_moved_meanwhile_is_not_touched(aws: Aws, ec2_calls: EC2Calls, moved: str) -> None:
    aws.servers["stranger"] = aws.launch()
    address = aws.production if moved == "production" else aws.staging
    # After that of DescribeAddresses, the second look is that of DisassociateStaging.
    ec2_calls.before("DescribeAddresses", lambda: aws.associate(address, "stranger"), nth=2)
    execution = aws.execute({})
    assert execution.outcome == "AddressMoved"
    assert f"The {moved} address" in str(execution.cause)
    assert str(execution.cause).endswith("Nothing was changed.")
    assert ec2_calls.changes == []
    assert aws.holder(address) == "stranger"


@pytest.mark.parametrize("moved", ["production", "staging"])
def test_staging_is_not_repaired_when_somebody_moved_an_address_meanwhile(
    aws: Aws, ec2_calls: EC2Calls, moved: str
) -> None:
    aws.disassociate(aws.staging)
    aws.servers["stranger"] = aws.launch()
    address = aws.production if moved == "production" else aws.staging
    ec2_calls.before("DescribeAddresses", lambda: aws.associate(address, "stranger"), nth=2)  # that of RepairStaging
    execution = aws.execute({"serverName": "bittybot"})
    assert execution.outcome == "AddressMoved"
    assert f"The {moved} address" in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.holder(address) == "stranger"
