"""Finds the test pair in the AWS of the environment, and refuses what may not be moved and broken at will.

Nothing here changes anything. Each refusal says what to do.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tests.acceptance.executions import Clients
from tests.acceptance.pair_on_aws import TAG, PairOnAws
from tests.acceptance.progress import Progress

DEFAULT_NAME = "eip-cutover"
TERMINATED = ("shutting-down", "terminated")


class Refused(Exception):
    """The suite cannot run, or may not; the message says why and what to do. Nothing was changed."""


def stack_of(name: str) -> str:
    """The stack's id in CloudFormation: `EipCutoverTry` of the context value `name` = `eip-cutover-try`."""
    return re.sub("(?:^|-)([a-z])", lambda begin: begin[1].upper(), name)


def find_pair(progress: Progress, *, stack: str, pair: str | None) -> PairOnAws:
    """The pair `pair` of this stack, or its only pair. Raises Refused."""
    try:
        return _found(progress, stack=stack, wanted=pair)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise Refused(f"AWS did not answer as needed. {error}. Nothing was changed.") from error


def _found(progress: Progress, *, stack: str, wanted: str | None) -> PairOnAws:
    # As the AWS CLI v2 does; boto3 reads AWS_DEFAULT_REGION only.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    if not session.region_name:
        raise Refused("No Region is set. Set AWS_REGION to the Region of the stack. Nothing was called.")
    if session.get_credentials() is None:
        do = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise Refused(f"There are no AWS credentials. {do}, of the account of the test pair. Nothing was called.")
    clients = Clients(session)
    account = str(clients("sts").get_caller_identity()["Account"])
    where = f"in {session.region_name} of account {account}"
    outputs = _outputs(clients, stack, where)
    published = _published(clients, outputs["PairsPath"])
    if wanted is None and len(published) > 1:
        names = ", ".join(sorted(published))
        raise Refused(f"The stack {stack} has several pairs. Set PAIR to one of {names}. Nothing was changed.")
    name = wanted or next(iter(published), "")
    if name not in published:
        names = ", ".join(sorted(published)) or "none"
        raise Refused(f"The stack {stack} has no pair {wanted or ''}. Its pairs: {names}. Nothing was changed.")
    pair = PairOnAws(
        clients, progress, name=name, only=len(published) == 1, stack=stack, outputs=outputs, published=published[name]
    )
    _refuse_terminated(pair)
    _refuse_untagged(pair)
    if running := pair.running():
        arns = ", ".join(running)
        raise Refused(f"Executions of pair {name} run: {arns}. Wait until they have ended. Nothing was changed.")
    progress.heading(f"The test pair {name} of the stack {stack} {where}")
    for each in pair.described():
        progress.heading(f"  {each}")
    return pair


def _outputs(clients: Clients, stack: str, where: str) -> dict[str, str]:
    try:
        (described,) = clients("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        do = "`make try` deploys one with a test pair, named eip-cutover-try. Or set NAME or AWS_REGION"
        raise Refused(f"There is no stack {stack} {where}. {do}. Nothing was changed.") from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    if missing := {"StateMachineArn", "LockTableName", "PairsPath"} - outputs.keys():
        lacks = ", ".join(sorted(missing))
        raise Refused(f"The stack {stack} {where} is not a stack of this project: it lacks the outputs {lacks}.")
    return outputs


def _published(clients: Clients, path: str) -> dict[str, dict[str, Any]]:
    """What the stack publishes of its pairs, by name."""
    pages = clients("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    parameters = [parameter for page in pages for parameter in page["Parameters"]]
    return {each["Name"].rsplit("/", 1)[-1]: json.loads(each["Value"]) for each in parameters}


def _refuse_terminated(pair: PairOnAws) -> None:
    try:
        states = pair.instance_states()
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceID.NotFound":
            raise
        gone = str(error.response["Error"]["Message"])
    else:
        terminated = {server: state for server, state in states.items() if state in TERMINATED}
        gone = ", ".join(f"{server} ({pair.servers[server]}) is {state}" for server, state in terminated.items())
    if gone:
        do = (
            f"Launch another instance, tag it {TAG} = true, put its id into the pair's configuration, and deploy. "
            "For a pair of `make try`: `make try-destroy`, then `make try`"
        )
        raise Refused(f"A server of pair {pair.name} does not exist any more: {gone}. {do}. Nothing was changed.")


def _refuse_untagged(pair: PairOnAws) -> None:
    ec2 = pair.client("ec2")
    ids = {f"{role} ({address})": address for role, address in pair.allocation_ids.items()}
    shown: list[Mapping[str, Any]] = ec2.describe_addresses(AllocationIds=list(ids.values()))["Addresses"]
    tagged = {each["AllocationId"] for each in shown if _is_tagged(each)}
    instances = pair.instances().values()
    tagged |= {each["InstanceId"] for each in instances if _is_tagged(each)}
    ids |= {f"{server} ({instance})": instance for server, instance in pair.servers.items()}
    if untagged := [text for text, id_ in ids.items() if id_ not in tagged]:
        why = f"this suite moves addresses and breaks servers, so it works only with what is tagged {TAG} = true"
        do = f"If users need none of it, tag it: aws ec2 create-tags --tags Key={TAG},Value=true --resources"
        missing = " ".join(id_ for id_ in ids.values() if id_ not in tagged)
        raise Refused(
            f"Not a test pair: {why}. Without this tag: {', '.join(untagged)}. Nothing was changed. {do} {missing}"
        )


def _is_tagged(resource: Mapping[str, Any]) -> bool:
    return {"Key": TAG, "Value": "true"} in resource.get("Tags", [])
