"""SNS, EventBridge, CloudWatch and CloudFormation, as far as the workflows and functions call them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.simulation.world.errors import AwsError, NotModelled, require_known

SUBJECT_CHARACTERS, MESSAGE_BYTES = 100, 262_144
PUBLISHED = frozenset(("TopicArn", "Subject", "Message", "MessageStructure", "MessageAttributes"))
Parameters = Mapping[str, Any]


class Sns:
    """`published` are the requests that the topic took, with their time `at`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.published: list[dict[str, Any]] = []

    def answer(self, action: str, parameters: Parameters) -> dict[str, Any]:
        _require("SNS's", action, "Publish")
        require_known(action, parameters, PUBLISHED)
        subject = parameters.get("Subject", "-")
        if not 0 < len(subject) < SUBJECT_CHARACTERS or not subject.isascii() or not subject.isprintable():
            raise AwsError("InvalidParameter", "Invalid parameter: Subject")
        if len(parameters["Message"].encode()) > MESSAGE_BYTES:
            raise AwsError("InvalidParameter", "Invalid parameter: Message too long")
        self.published.append({**parameters, "at": self._clock()})
        return {"MessageId": f"message-{len(self.published)}"}


class Events:
    """`put` are the entries that the bus took, with their time `at`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.put: list[dict[str, Any]] = []

    def answer(self, action: str, parameters: Parameters) -> dict[str, Any]:
        _require("EventBridge's", action, "PutEvents")
        require_known(action, parameters, frozenset(("Entries",)))
        first = len(self.put) + 1
        self.put += [{**entry, "at": self._clock()} for entry in parameters["Entries"]]
        ids = range(first, len(self.put) + 1)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": f"event-{each}"} for each in ids]}


class CloudWatch:
    """The alarms by name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._alarms: dict[str, dict[str, Any]] = {}

    def set_alarm(self, name: str, state: str, reason: str = "Threshold Crossed") -> None:
        """From now on, the metric alarm of this name is in a state: OK, ALARM or INSUFFICIENT_DATA."""
        since = datetime.fromtimestamp(self._clock(), UTC)
        alarm = {"AlarmName": name, "StateValue": state, "StateReason": reason, "StateTransitionedTimestamp": since}
        self._alarms[name] = alarm

    def answer(self, action: str, parameters: Parameters) -> dict[str, Any]:
        _require("CloudWatch's", action, "DescribeAlarms")
        require_known(action, parameters, frozenset(("AlarmNames", "AlarmTypes", "MaxRecords")))
        shown = [dict(self._alarms[name]) for name in parameters["AlarmNames"] if name in self._alarms]
        return {"MetricAlarms": shown, "CompositeAlarms": []}


class CloudFormation:
    """`templates` are the bodies by stack, as boto3 returns them."""

    def __init__(self) -> None:
        self.templates: dict[str, Any] = {}

    def answer(self, action: str, parameters: Parameters) -> dict[str, Any]:
        _require("CloudFormation's", action, "GetTemplate")
        require_known(action, parameters, frozenset(("StackName", "TemplateStage")))
        stack = parameters["StackName"]
        if stack not in self.templates:
            raise AwsError("ValidationError", f"Stack with id {stack} does not exist")
        return {"TemplateBody": self.templates[stack]}


def _require(service: str, action: str, known: str) -> None:
    if action != known:
        raise NotModelled(f"{service} {action}")
