"""Evaluates a pair when someone else than this stack has moved or released an address. CloudTrail sends such calls some
minutes later, if the account has a trail. Whatever an event says, it can only start an evaluation."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

import boto3
from aws_lambda_powertools import Logger

from aws.calls import CONFIG, Ec2, ec2_client
from domain.deployed_pairs import deployed_pairs
from domain.pair import Json
from domain.text import printable

logger = Logger()
ec2 = ec2_client()
states: Any = boto3.client("stepfunctions", config=CONFIG)


@logger.inject_lambda_context(correlation_id_path="detail.eventID")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, states: Any = states) -> Json:
    """Returns `{"started": names of pairs}`. The environment has the ARNs of the state machine, READINESS, and of the
    stack's OWN_ROLES. A repeated event starts nothing again. Errors of AWS are raised, so that Lambda tries again.
    Source of the keys: CloudTrail User Guide, "Record contents" and "userIdentity"."""
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
    for pair in pairs:
        name = f"{re.sub('[^0-9A-Za-z_-]', '_', pair)[:43]}-{uuid5(call_id, pair)}"  # an execution's has at most 80
        given = json.dumps({"pair": pair, "drift": drift})
        with suppress(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=os.environ["READINESS"], name=name, input=given)
    return {"started": pairs}


def affected(request: Mapping[str, str], ec2: Ec2) -> list[str]:
    """The evaluated pairs with an id that is in the request, or with the address or server that it means otherwise. An
    association that has ended may have been of any pair that has an address on no server."""
    ids, pairs = (
        set(request.values()),
        {name: pair for name, pair in deployed_pairs().items() if pair.schedule_expression},
    )
    if not any(ids & pair.ids for pair in pairs.values()) and not request.keys() <= {"allocationId", "instanceId"}:
        shown: Any = ec2.describe_addresses()["Addresses"]  # of the Region: it refuses a released id
        if "associationId" in request:
            ids = {each for pair in pairs.values() for each in (pair.production, pair.staging)}
            ids -= {each["AllocationId"] for each in shown if each.get("AssociationId")}
        else:
            meant = (each for each in shown if ids & {each.get("PublicIp"), each.get("NetworkInterfaceId")})
            ids = {each.get(key, "") for each in meant for key in ("AllocationId", "InstanceId")}
    return [name for name, pair in pairs.items() if ids & pair.ids]
