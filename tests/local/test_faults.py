"""Faults on the wire, as a client of the local EC2 sees them."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from local import faults
from local.ec2 import ACCESS_KEY, Address, Ec2
from local.faults import Fault, InvalidFault, fault_from
from local.token_buckets import Limit, TokenBuckets
from tests.local.situation import client_of, until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@pytest.fixture
def client(ec2: Ec2) -> "EC2Client":
    """It tries once, so that a test sees every try."""
    return client_of(ec2, tries=1)


@pytest.fixture
def production(ec2: Ec2, address: Address, bittybot: str) -> Address:
    ec2.associate(address, bittybot)
    return address


@pytest.fixture
def move(client: "EC2Client", production: Address, tao: str) -> Callable[[], Any]:
    """Moves production from bittybot to tao."""
    return lambda: client.associate_address(AllocationId=production.allocation_id, InstanceId=tao)


def at_the_next(kind: faults.Kind, **more: Any) -> Fault:
    return Fault(action="AssociateAddress", kind=kind, **more)


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (at_the_next("throttled"), "RequestLimitExceeded", 503),
        (at_the_next("internal-error"), "InternalError", 500),
        (at_the_next("denied"), "UnauthorizedOperation", 403),
        (at_the_next("refused"), "OperationNotPermitted", 400),
        (at_the_next("refused", code="Gateway.NotAttached"), "Gateway.NotAttached", 400),
    ],
    ids=str,
)
def test_an_error_is_answered_in_ec2s_words_and_nothing_is_changed(
    ec2: Ec2, move: Callable[[], Any], production: Address, bittybot: str, fault: Fault, code: str, status: int
) -> None:
    ec2.faults.inject(fault)
    with pytest.raises(ClientError) as caught:
        move()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert ec2.holder(production.allocation_id) == bittybot


def test_a_fault_affects_the_calls_that_it_names_until_it_is_cleared(ec2: Ec2, move: Callable[[], Any]) -> None:
    ec2.faults.inject(at_the_next("throttled", nth=2, times=2))
    ec2.faults.inject(at_the_next("denied", nth=5, times=None))
    for expected in (None, "Throttl|RequestLimit", "Throttl|RequestLimit", None, "Unauthorized", "Unauthorized"):
        with pytest.raises(ClientError, match=expected) if expected else nullcontext():
            move()
    ec2.faults.clear()
    assert move()["AssociationId"]


def test_a_dry_run_is_an_action_of_its_own(ec2: Ec2, client: "EC2Client", production: Address, tao: str) -> None:
    ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="denied"))
    assert client.associate_address(AllocationId=production.allocation_id, InstanceId=tao)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        client.associate_address(AllocationId=production.allocation_id, InstanceId=tao, DryRun=True)


def test_a_lost_answer_is_lost_after_the_call_took_effect_and_listeners_were_notified(
    ec2: Ec2, move: Callable[[], Any], production: Address, tao: str
) -> None:
    holders: list[str | None] = []
    ec2.on_change(lambda: holders.append(ec2.holder(production.allocation_id)))
    ec2.faults.inject(at_the_next("answer-lost"))
    with pytest.raises(ConnectionClosedError):
        move()
    assert ec2.holder(production.allocation_id) == holders[-1] == tao


def test_a_slow_call_takes_effect_when_its_client_has_given_up(
    ec2: Ec2, production: Address, bittybot: str, tao: str
) -> None:
    impatient = client_of(ec2, tries=1, read_timeout=0.2)
    ec2.faults.inject(at_the_next("slow", seconds=0.6))
    with pytest.raises(ReadTimeoutError):
        impatient.associate_address(AllocationId=production.allocation_id, InstanceId=tao)
    assert ec2.holder(production.allocation_id) == bittybot
    until(lambda: ec2.holder(production.allocation_id) == tao, seconds=10)


def test_a_reset_comes_before_the_call_takes_effect_and_affects_every_try_of_the_sdk(
    ec2: Ec2, production: Address, bittybot: str, tao: str
) -> None:
    ec2.faults.inject(at_the_next("reset"))
    patient = client_of(ec2, tries=3)
    with pytest.raises(ConnectionClosedError):
        patient.associate_address(AllocationId=production.allocation_id, InstanceId=tao)
    assert ec2.holder(production.allocation_id) == bittybot


def test_a_fault_of_one_attempt_does_not_affect_the_retries_of_the_sdk(
    ec2: Ec2, client: "EC2Client", production: Address
) -> None:
    (address,) = client.describe_addresses(AllocationIds=[production.allocation_id])["Addresses"]
    ec2.faults.inject(Fault(action="DisassociateAddress", kind="answer-lost", attempts=1))
    patient = client_of(ec2, tries=3)
    with pytest.raises(ClientError, match=r"InvalidAssociationID\.NotFound"):
        patient.disassociate_address(AssociationId=address["AssociationId"])
    assert ec2.holder(production.allocation_id) is None


@pytest.mark.parametrize("how", [{"times": 2}, {"seconds": 0.5}])
def test_a_stale_description_shows_the_state_before_the_last_change_for_some_calls_or_some_time(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str, how: dict[str, Any]
) -> None:
    def seen() -> str:
        return client.describe_addresses(AllocationIds=[production.allocation_id])["Addresses"][0]["InstanceId"]

    ec2.faults.inject(Fault(action="DescribeAddresses", kind="stale", **how))
    ec2.associate(production, tao)
    assert [seen(), seen()] == [bittybot, bittybot]
    until(lambda: seen() == tao, seconds=10)


@pytest.mark.parametrize(("kind", "refused"), [("terminated", True), ("stopped", False)])
def test_an_instance_is_terminated_just_before_the_call_that_names_it(
    ec2: Ec2, client: "EC2Client", move: Callable[[], Any], tao: str, kind: faults.Kind, refused: bool
) -> None:
    ec2.faults.inject(at_the_next(kind))
    if refused:
        with pytest.raises(ClientError, match="InvalidInstanceID"):
            move()
    else:
        move()
    (instance,) = client.describe_instances(InstanceIds=[tao])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == kind


def test_someone_else_moves_the_address_just_before_the_call(
    ec2: Ec2, client: "EC2Client", production: Address, tao: str
) -> None:
    stranger = ec2.launch("stranger")
    ec2.faults.inject(at_the_next("moved", instance_id=stranger))
    with pytest.raises(ClientError, match=r"Resource\.AlreadyAssociated"):
        client.associate_address(AllocationId=production.allocation_id, InstanceId=tao, AllowReassociation=False)
    assert ec2.holder(production.allocation_id) == stranger


def test_a_request_without_a_token_is_answered_as_ec2_does_and_a_dry_run_takes_a_token_of_its_api(
    ec2: Ec2, client: "EC2Client", address: Address, tao: str
) -> None:
    ec2.limit(TokenBuckets({"AssociateAddress": Limit(1, 0)}))
    for code, status in (("DryRunOperation", 412), ("RequestLimitExceeded", 503)):
        with pytest.raises(ClientError) as caught:
            client.associate_address(AllocationId=address.allocation_id, InstanceId=tao, DryRun=True)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "a fault is an object with action, kind"),
        ({"action": "AssociateAddress", "kind": "reset", "when": 2}, "a fault is an object with action, kind"),
        ({"action": "ReleaseAddress", "kind": "reset"}, "there is no action 'ReleaseAddress'"),
        ({"action": "AssociateAddress", "kind": "boom"}, "there is no kind 'boom'; there are throttled"),
        ({"action": "AssociateAddress", "kind": "crashed-after"}, "there is no kind 'crashed-after'"),
        ({"action": "AssociateAddress", "kind": "reset", "nth": 0}, "nth = 0 is not a whole number of at least 1"),
        ({"action": "AssociateAddress", "kind": "reset", "times": True}, "times = True is not a whole number"),
        ({"action": "AssociateAddress", "kind": "slow"}, "slow needs seconds"),
        ({"action": "AssociateAddress", "kind": "slow", "seconds": -1}, "seconds = -1 is not a number above 0"),
        ({"action": "AssociateAddress", "kind": "reset", "seconds": 1}, "only slow and stale have seconds"),
        ({"action": "AssociateAddress", "kind": "denied", "code": "No"}, "only refused has a code"),
        ({"action": "AssociateAddress", "kind": "refused", "code": 5}, "code = 5 is not a text"),
        ({"action": "AssociateAddress", "kind": "stale"}, "only DescribeAddresses can be stale"),
        ({"action": "DescribeAddresses", "kind": "stopped"}, "DescribeAddresses names no instance"),
        ({"action": "DescribeInstances", "kind": "moved"}, "DescribeInstances names no address"),
        ({"action": "AssociateAddress", "kind": "moved"}, "moved needs an instance id"),
    ],
)
def test_an_invalid_fault_is_refused_with_a_clear_error(value: object, says: str) -> None:
    with pytest.raises(InvalidFault) as caught:
        fault_from(value)
    assert says in str(caught.value)


def test_one_command_injects_lists_and_clears_faults(
    ec2: Ec2, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", ec2.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    faults.main(["AssociateAddress", "--nth", "2", "--kind", "answer-lost"])
    assert capsys.readouterr().out == "Injected: answer-lost at AssociateAddress, call 2.\n"
    assert ec2.faults.injected == [at_the_next("answer-lost", nth=2)]
    faults.main(["--list"])
    assert capsys.readouterr().out == "answer-lost at AssociateAddress, call 2\n"
    faults.main(["--clear"])
    assert ec2.faults.injected == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give an ACTION and a --kind"),
        (["AssociateAddres", "--kind", "reset"], "there is no action 'AssociateAddres'; there are DescribeAddresses"),
        (["AssociateAddress", "--kind", "reset", "--nth", "two"], "invalid int value: 'two'"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        faults.main(words)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("endpoint", ["", "https://ec2.us-east-1.amazonaws.com", "http://127.0.0.1:1"])
def test_without_a_local_ec2_the_command_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", endpoint)
    with pytest.raises(SystemExit, match="make aws"):
        faults.main(["--clear"])
