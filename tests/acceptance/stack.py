"""The resources of the stack of a pair, and the events in their logs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.acceptance.pair_on_aws import PairOnAws


def resources(pair: PairOnAws, kind: str) -> dict[str, str]:
    """The names that the stack's resources of this kind have, by their ids in the template."""
    pages = pair.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=pair.stack)
    every = [each for page in pages for each in page["StackResourceSummaries"] if each["ResourceType"] == kind]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in every}


def events_of_log(pair: PairOnAws, log_group: str, since: datetime, **more: str) -> list[Mapping[str, Any]]:
    """The events of a log group with the time `since` or later."""
    logs, start = pair.client("logs"), round(since.timestamp() * 1000)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=log_group, startTime=start, **more)
    return [event for page in pages for event in page["events"]]
