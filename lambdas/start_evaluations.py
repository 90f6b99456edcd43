"""Only starts evaluations, whatever an event says: of the pairs of a schedule, and of a pair of which someone else than
this stack has moved or released an address. CloudTrail sends such calls minutes later, if the account has a trail."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from aws_lambda_powertools import Logger

from aws.calls import Ec2, Sleep, aws_client, ec2_client
from domain.pair import Json, deployed_pairs
from domain.text import printable

SECONDS_APART, LONGEST_SPREAD_SECONDS = 3, 600  # leaves most of EC2's request limits to a cutover that runs meanwhile
logger = Logger()
ec2 = ec2_client()
states = aws_client("stepfunctions")


@logger.inject_lambda_context(correlation_id_path="detail.eventID")
def handler(event: Json, context: Any, *, ec2: Ec2 = ec2, states: Any = states, sleep: Sleep = time.sleep) -> Json:
    """Takes `{"scheduleExpression": ...}` or CloudTrail's event; returns `{"started": names of pairs}`. The environment
    has the ARNs of the state machine, READINESS, and of the stack's OWN_ROLES. Errors of AWS are raised, so that Lambda
    tries again, with the same request id (re:Post Knowledge Center, "How do I prevent duplicate Lambda function
    invocations?"). Source of the keys: CloudTrail User Guide, "Record contents" and "userIdentity"."""
    if expression := event.get("scheduleExpression"):
        pairs = [name for name, pair in deployed_pairs().items() if pair.schedule_expression == expression]
        return start(pairs, UUID(context.aws_request_id), states, sleep)
    try:
        call = event["detail"]
        identity, call_id = call["userIdentity"], UUID(call["eventID"])
        role = identity.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
        by = f"{identity.get('arn') or identity['invokedBy']} at {call['eventTime']} from {call['sourceIPAddress']}"
        drift = printable(f"{call['eventName']} was called by {by}.", 400)
        request = {key: value for key, value in call["requestParameters"].items() if isinstance(value, str)}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.error("Malformed event: %r", error, extra={"event": repr(event)[:2000]})
        return {"started": []}
    pairs = [] if role in os.environ["OWN_ROLES"].split() else affected(request, ec2)
    return start(pairs, call_id, states, sleep, drift=drift)


def start(pairs: Sequence[str], cause: UUID, states: Any, sleep: Sleep, **given: str) -> Json:
    """Starts their evaluations one after the other. The first of them may exist already, if the same cause was tried
    before. They are neither started again nor waited for: they have ended or, as an older date says, still run."""
    began = None
    for pair in pairs:
        if began and datetime.now(UTC) - began < timedelta(seconds=30):
            sleep(min(SECONDS_APART, LONGEST_SPREAD_SECONDS / len(pairs)))
        name = f"{re.sub('[^0-9A-Za-z_-]', '_', pair)[:43]}-{uuid5(cause, pair)}"  # an execution's has at most 80
        asked = {"stateMachineArn": os.environ["READINESS"], "name": name, "input": json.dumps({"pair": pair, **given})}
        with suppress(states.exceptions.ExecutionAlreadyExists):
            began = states.start_execution(**asked)["startDate"]
    return {"started": [*pairs]}


def affected(request: Mapping[str, str], ec2: Ec2) -> list[str]:
    """The evaluated pairs with an id that is in the request, or with the address or server that it means otherwise. An
    association that has ended may have been of any pair that has an address on no server."""
    pairs = {name: pair for name, pair in deployed_pairs().items() if pair.schedule_expression}
    ids = set(request.values())
    if not any(ids & pair.ids for pair in pairs.values()) and not request.keys() <= {"allocationId", "instanceId"}:
        shown: Any = ec2.describe_addresses()["Addresses"]  # of the Region: it refuses a released id
        if "associationId" in request:
            ids = {each for pair in pairs.values() for each in (pair.production, pair.staging)}
            ids -= {each["AllocationId"] for each in shown if each.get("AssociationId")}
        else:
            meant = (each for each in shown if ids & {each.get("PublicIp"), each.get("NetworkInterfaceId")})
            ids = {each.get(key, "") for each in meant for key in ("AllocationId", "InstanceId")}
    return [name for name, pair in pairs.items() if ids & pair.ids]
