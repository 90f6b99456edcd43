"""What AWS does where its documents are silent, or say how but not how soon.

A question never fails because of the answer: its answer is a row for docs/aws-facts.md, printed at the end of the run.
It fails only if its own call is malformed. It leaves nothing behind, and moves nothing.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.acceptance.answers import NO_ERROR, Answers, ask, unanswered
from tests.acceptance.begun import Begun
from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.stack import events_of_log, resources

pytestmark = pytest.mark.usefixtures("begun")
TRIES = 5
PAUSE_SECONDS = 0.02
UNSEEN_SECONDS = 30
AMID_SECONDS = 0.3  # from the beginning of the checks to somewhere in the second that a health check takes at least
LOG_SECONDS = 30  # until a line that was logged is in the log
# Ids that look like EC2's and belong to nothing; an address of a network for documentation.
NO_INSTANCE, NO_ADDRESS = "i-0123456789abcdef0", "eipalloc-0123456789abcdef0"
NO_ASSOCIATION, NO_PRIVATE_IP = "eipassoc-0123456789abcdef0", "192.0.2.1"


def milliseconds_until(is_so: Callable[[], bool]) -> int | None:
    """How long it takes until `is_so` for the first time; None if it is not within some time."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() > began + UNSEEN_SECONDS:
            return None
        time.sleep(PAUSE_SECONDS)
    return round((time.monotonic() - began) * 1000)


def lacks_of_times(times: Sequence[int | None]) -> str:
    """Why these times say nothing: something that never shows may be something that the caller may not see."""
    return "" if None not in times else in_words(times)


def is_known(call: Callable[[], object]) -> bool:
    return ask(call)[1] == NO_ERROR


def has_ended(describe: Callable[[], Mapping[str, Any]]) -> bool:
    return bool(describe()["status"] != "RUNNING")


def in_words(times: Sequence[int | None]) -> str:
    """`12, 15 and 230 ms`."""
    words = [f"not within {UNSEEN_SECONDS} s" if each is None else f"{each} ms" for each in times]
    return ", ".join(words[:-1]) + f" and {words[-1]}"


@pytest.fixture
def evaluated(pair: PairOnAws) -> PairOnAws:
    """A pair whose readiness is evaluated: an evaluation takes no lock and changes nothing."""
    describe = pair.client("stepfunctions").describe_state_machine
    if ask(lambda: describe(stateMachineArn=pair.readiness_arn))[1] != NO_ERROR:
        pytest.skip("the readiness of this pair is not evaluated")
    return pair


def test_what_a_dry_run_of_ec2_checks(sound: PairOnAws, answers: Answers) -> None:
    ec2, before = sound.client("ec2"), sound.places()
    live, idle = (sound.servers[server] for server in (before.production, before.staging) if server)
    production, staging = sound.allocation_ids["production"], sound.allocation_ids["staging"]
    (shown,) = ec2.describe_addresses(AllocationIds=[staging])["Addresses"]

    def associate(**more: Any) -> str:
        call = {"AllocationId": production, "InstanceId": idle, "AllowReassociation": True, "DryRun": True} | more
        return ask(lambda: ec2.associate_address(**call))[1]

    def disassociate(association: str) -> str:
        return ask(lambda: ec2.disassociate_address(AssociationId=association, DryRun=True))[1]

    codes = {
        "a move": associate(),
        "onto the server that holds it": associate(InstanceId=live),
        "away from another server with `AllowReassociation` false": associate(AllowReassociation=False),
        "to an unknown instance": associate(InstanceId=NO_INSTANCE),
        "of an unknown address": associate(AllocationId=NO_ADDRESS),
        "to a private address that the server does not have": associate(PrivateIpAddress=NO_PRIVATE_IP),
        "a disassociation": disassociate(shown["AssociationId"]),
        "of an unknown association": disassociate(NO_ASSOCIATION),
    }
    assert sound.places() == before
    text = "; ".join(f"{call}: `{code}`" for call, code in codes.items())
    answers.add("dry-run", text, lacks=unanswered(codes))


def test_what_ec2_shows_of_the_transfer_of_an_address_that_was_never_offered(pair: PairOnAws, answers: Answers) -> None:
    describe = pair.client("ec2").describe_address_transfers
    shown, code = ask(lambda: describe(AllocationIds=[pair.allocation_ids["production"]])["AddressTransfers"])
    transfers = ", ".join(each.get("AddressTransferStatus", "no status") for each in shown or [])
    answer = f"the error `{code}`" if shown is None else f"transfers: {transfers or 'none'}"
    answers.add("address-transfers", answer, lacks=unanswered({"DescribeAddressTransfers": code}))


def test_how_soon_an_execution_and_its_end_are_described(evaluated: PairOnAws, answers: Answers) -> None:
    states = evaluated.client("stepfunctions")
    known, ended = list[int | None](), list[int | None]()
    for _ in range(TRIES):
        arn = evaluated.start({"pair": evaluated.name}, machine=evaluated.readiness_arn)
        describe = partial(states.describe_execution, executionArn=arn)
        known.append(milliseconds_until(partial(is_known, describe)))
        evaluated.stop(arn)
        ended.append(milliseconds_until(partial(has_ended, describe)))
    answers.add(
        "describe-execution",
        f"known {in_words(known)} after `StartExecution`; ended {in_words(ended)} after `StopExecution`",
        lacks=lacks_of_times([*known, *ended]),
    )


def test_how_soon_a_command_is_known(pair: PairOnAws, answers: Answers) -> None:
    ssm, instance = pair.client("ssm"), next(iter(pair.servers.values()))
    known = list[int | None]()
    for _ in range(TRIES):
        commands = {"commands": ["true"]}
        sent = ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[instance], Parameters=commands)
        id_ = sent["Command"]["CommandId"]
        get = partial(ssm.get_command_invocation, CommandId=id_, InstanceId=instance)
        known.append(milliseconds_until(partial(is_known, get)))
    answers.add("command-not-yet", f"known {in_words(known)} after `SendCommand`", lacks=lacks_of_times(known))


def test_what_goes_on_when_an_execution_is_stopped(evaluated: PairOnAws, begun: Begun, answers: Answers) -> None:
    """The health check takes longer than a second, and its function logs a line at its end. It is stopped before.

    What has begun before the questions has evaluated the same pair, and was not stopped: that is in the same log.
    """
    log_group = next(name for id_, name in resources(evaluated, "AWS::Logs::LogGroup").items() if "HealthCheck" in id_)
    arn = evaluated.start({"pair": evaluated.name}, machine=evaluated.readiness_arn)
    evaluated.await_state(arn, "Checks")
    time.sleep(AMID_SECONDS)
    stopped = evaluated.client("stepfunctions").stop_execution(executionArn=arn)["stopDate"]
    status = evaluated.wait(arn).status
    late_start = "" if status == "ABORTED" else f"the execution ended {status} before it was stopped"

    def events(since: datetime) -> list[Mapping[str, Any]]:
        return ask(lambda: events_of_log(evaluated, log_group, since))[0] or []

    with suppress(TimeoutError):
        until(lambda: events(stopped), "the function logs something", seconds=LOG_SECONDS)
    milliseconds = [event["timestamp"] - 1000 * stopped.timestamp() for event in events(stopped)]
    logged = f"a line {max(milliseconds):.0f} ms later" if milliseconds else f"nothing within {LOG_SECONDS} s"
    answers.add(
        "call-in-flight",
        f"an execution was stopped during its health check, and the function logged {logged}",
        lacks=late_start or ("" if events(begun.at) else f"{log_group} has no event of any execution"),
    )
    history = evaluated.history(arn)
    entered = [event for event in history if "stateEnteredEventDetails" in event and event["timestamp"] > stopped]
    text = f"the last event is `{history[-1]['type']}`, and states entered after the stop: {len(entered)}"
    answers.add("stopped-execution", text, lacks=late_start)


def test_the_hash_of_a_document(pair: PairOnAws, answers: Answers) -> None:
    ssm = pair.client("ssm")
    documents = [*resources(pair, "AWS::SSM::Document").values()]
    if not documents:
        pytest.skip("the stack has no document, because no pair has `deploy` or a hook with a command")
    described, code = ask(lambda: ssm.describe_document(Name=documents[0])["Document"])
    got, other_code = ask(lambda: ssm.get_document(Name=documents[0])["Content"])
    if not described or got is None:
        answers.add("document-hash", "", lacks=f"DescribeDocument: `{code}`, GetDocument: `{other_code}`")
        return
    digest = hashlib.sha256(got.encode()).hexdigest()
    # The name of a document ends with the hash that the stack has computed.
    deployed = "is" if documents[0].endswith(described["Hash"][:16]) else "is not"
    shown = "is" if described["Hash"] == digest else "is not"
    answers.add(
        "document-hash",
        f"the {described.get('HashType')} hash {deployed} that of the deployed text, and {shown} that of GetDocument's",
    )
