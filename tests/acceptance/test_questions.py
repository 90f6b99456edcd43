"""What AWS does where its documents are silent, or say how but not how soon.

A question never fails because of the answer: its answer is a row for docs/aws-facts.md, printed at the end of the run.
It fails only if its own call is malformed. It leaves nothing behind, and moves nothing.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.answers import Answers, code_of
from tests.acceptance.pair_on_aws import PairOnAws

TRIES = 5
PAUSE_SECONDS = 0.02
HISTORY_SECONDS = 20  # until CloudWatch shows what an alarm did
LOG_SECONDS, MORE_LOG_SECONDS = 30, 10  # until the logs have an execution, and until another one's are missing
UNSEEN_SECONDS = 30
# Ids that look like EC2's and belong to nothing; an address of a network for documentation.
NO_INSTANCE, NO_ADDRESS = "i-0123456789abcdef0", "eipalloc-0123456789abcdef0"
NO_ASSOCIATION, NO_PRIVATE_IP = "eipassoc-0123456789abcdef0", "192.0.2.1"


def milliseconds_until(call: Callable[[], bool], *, seconds: float = UNSEEN_SECONDS) -> int | None:
    """How long it takes until `call` is true for the first time; None if it is not within `seconds`."""
    began = time.monotonic()
    while not call():
        if time.monotonic() > began + seconds:
            return None
        time.sleep(PAUSE_SECONDS)
    return round((time.monotonic() - began) * 1000)


def in_words(times: list[int | None]) -> str:
    """`12, 15 and 230 ms`."""
    words = [f"not within {UNSEEN_SECONDS} s" if each is None else f"{each} ms" for each in times]
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def test_what_a_dry_run_of_ec2_checks(sound: PairOnAws, answers: Answers) -> None:
    ec2, (live, idle) = sound.client("ec2"), sound.servers.values()
    before = sound.places()
    production, staging = sound.allocation_ids["production"], sound.allocation_ids["staging"]
    (shown,) = ec2.describe_addresses(AllocationIds=[staging])["Addresses"]

    def associate(**more: Any) -> str:
        call = {"AllocationId": production, "InstanceId": idle, "AllowReassociation": True, "DryRun": True} | more
        return code_of(lambda: ec2.associate_address(**call))

    def disassociate(association: str) -> str:
        return code_of(lambda: ec2.disassociate_address(AssociationId=association, DryRun=True))

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
    answers.add("dry-run", "; ".join(f"{call}: `{code}`" for call, code in codes.items()))


def test_what_ec2_shows_of_the_transfer_of_an_address_that_was_never_offered(
    pair: PairOnAws, answers: Answers
) -> None:
    shown: list[Any] = []
    ids = [pair.allocation_ids["production"]]

    def describe() -> None:
        shown.extend(pair.client("ec2").describe_address_transfers(AllocationIds=ids)["AddressTransfers"])

    code = code_of(describe)
    statuses = ", ".join(each.get("AddressTransferStatus", "no status") for each in shown)
    answers.add("address-transfers", f"`{code}`, {f'transfers: {statuses}' if shown else 'no transfers'}")


def test_how_soon_an_execution_and_its_end_are_described(pair: PairOnAws, answers: Answers) -> None:
    states = pair.client("stepfunctions")
    known, ended = list[int | None](), list[int | None]()
    for _ in range(TRIES):
        arn = pair.start({"pair": pair.name}, machine=pair.readiness_arn)
        describe = partial(states.describe_execution, executionArn=arn)
        known.append(milliseconds_until(lambda call=describe: code_of(call) == NO_ERROR))
        pair.stop(arn)
        ended.append(milliseconds_until(lambda call=describe: call()["status"] != "RUNNING"))
    answers.add(
        "describe-execution", f"known {in_words(known)} after `StartExecution`; ended {in_words(ended)} after `StopExecution`"
    )


def test_how_soon_a_command_is_known(pair: PairOnAws, answers: Answers) -> None:
    ssm, instance = pair.client("ssm"), next(iter(pair.servers.values()))
    known = list[int | None]()
    for _ in range(TRIES):
        commands = {"commands": ["true"]}
        sent = ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[instance], Parameters=commands)
        id_ = sent["Command"]["CommandId"]
        get = partial(ssm.get_command_invocation, CommandId=id_, InstanceId=instance)
        known.append(milliseconds_until(lambda call=get: code_of(call) == NO_ERROR))
    answers.add("command-not-yet", f"known {in_words(known)} after `SendCommand`")


def test_what_goes_on_when_an_execution_is_stopped(pair: PairOnAws, answers: Answers) -> None:
    """The health check takes longer than a second. It is stopped amid that, and its function logs when it ends."""
    arn = pair.start({"pair": pair.name}, machine=pair.readiness_arn)
    until(lambda: calls_of(pair, arn) > 1 + len(BEFORE_CHECKS), "the functions of the checks are called")
    time.sleep(AMID_SECONDS)
    stopped = pair.client("stepfunctions").stop_execution(executionArn=arn)["stopDate"]
    pair.wait(arn)
    log_group = next(iter(pair.resources("AWS::Logs::LogGroup", containing="HealthCheck")))
    after = partial(log_after, pair, log_group, stopped)
    with suppress(TimeoutError):
        until(after, "a line of the function's log", seconds=LOG_SECONDS)
    lines = after()
    late = f"logged {max(lines) - 1000 * stopped.timestamp():.0f} ms after it" if lines else f"logged nothing within {LOG_SECONDS} s"
    answers.add("call-in-flight", f"the execution was stopped during its health check; the function {late}")
    events = pair.history(arn)
    entered = [event for event in events if "stateEnteredEventDetails" in event and event["timestamp"] > stopped]
    answers.add("stopped-execution", f"its last event is `{events[-1]['type']}`; states entered after the stop: {len(entered)}")
