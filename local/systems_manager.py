"""Systems Manager's Run Command: documents, and commands that servers run, with AWS's states and errors.

One core for both emulated AWSs. On the local AWS a command is a process; in the tests in this process it is a result
that the test gives, at a time of its own (`now`). A command is sent to one server. Nothing here waits: what should have
happened by now happens at each call, in its order, and by `settle`.

Sources: API references of the ACTIONS; Systems Manager User
Guide, "Understanding command statuses" and "Handling reboots when running commands"; the source code of the agent.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from local.systems_manager_agents import Agents, Command, Runner
from local.systems_manager_instances import instance_information
from local.systems_manager_requests import AWS_DOCUMENTS, Document, Refused, Request, check_request
from local.systems_manager_runs import GivenRun, Result

ACTIONS = (
    "CreateDocument", "DeleteDocument", "SendCommand", "GetCommandInvocation", "CancelCommand", "ListCommands",
    "DescribeInstanceInformation",
)  # fmt: skip
MOST_OUTPUT, MOST_ERRORS = 24_000, 8_000
DEFAULT_DELIVERY_SECONDS = 3600
MOST_PER_PAGE = 50


class SystemsManager:
    """`state_of` says the state of an instance, None if there is none; `runner` runs a command on its server, and
    `rebooted` is called when a command reboots it. `instances` are the ids of all instances with an agent. `agents` are
    the agents on the servers. `new_id` makes the ids of commands, of 36 characters each.

    `hidden_calls` calls of GetCommandInvocation after SendCommand, and all within `hidden_seconds`, are answered
    InvocationDoesNotExist.
    """

    def __init__(
        self,
        state_of: Callable[[str], str | None],
        runner: Runner,
        *,
        account: str,
        now: Callable[[], float] = time.time,
        rebooted: Callable[[str], None] = lambda _instance: None,
        instances: Callable[[], Sequence[str]] = tuple,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._account, self._now, self._instances, self._new_id = account, now, instances, new_id
        self.agents = Agents(state_of, runner, now=now, rebooted=rebooted)
        self.hidden_calls, self.hidden_seconds = 1, 0.0
        self._lock = threading.RLock()
        self._documents: dict[str, Document] = {}
        self._commands: list[Command] = []

    def forget(self) -> None:
        """Have no commands and no documents. Kills what still runs, and the daemons of what ran."""
        self.forget_commands()
        self._documents.clear()

    def forget_commands(self) -> None:
        with self._lock:
            for command in self._commands:
                if command.run:
                    command.run.kill()
            self._commands.clear()

    def register(self, name: str, content: str) -> None:
        """Have a document. Raises Refused for a content that cannot run here."""
        self._documents[name] = Document(content)

    @property
    def documents(self) -> dict[str, str]:
        """The contents of the documents of the account, by their names."""
        return {name: document.content for name, document in self._documents.items()}

    @property
    def commands(self) -> list[Command]:
        """All commands so far, in the order in which they were sent."""
        self.settle()
        return list(self._commands)

    def overlaps(self) -> list[tuple[Command, Command]]:
        """The commands that ran at the same time on the same server."""
        ran = sorted((each for each in self.commands if each.began is not None), key=lambda each: each.began or 0)
        pairs = itertools.combinations(ran, 2)
        return [
            (a, b) for a, b in pairs if a.instance_id == b.instance_id and (a.ended or self._now()) > (b.began or 0)
        ]

    def answer(self, action: str, request: Request) -> dict[str, Any]:
        """What the service answers, with times as `datetime`. Raises Refused."""
        check_request(action, request)
        answers = {
            "CreateDocument": self._create,
            "DeleteDocument": self._delete,
            "SendCommand": self._send,
            "GetCommandInvocation": self._get,
            "CancelCommand": self._cancel,
            "ListCommands": self._list,
            "DescribeInstanceInformation": self._instance_information,
        }
        with self._lock:
            self.settle()
            return answers[action](request)

    def settle(self) -> None:
        """Let everything happen that should have happened by now."""
        with self._lock:
            self.agents.settle(self._commands)

    def end(self, command: Command, result: Result) -> None:
        """End a command whose result is given, now."""
        with self._lock:
            if isinstance(command.run, GivenRun):
                command.run.end_now(result, self._now())
            self.settle()

    # The actions.

    def _create(self, request: Request) -> dict[str, Any]:
        name = request["Name"]
        if name in self._documents:
            raise Refused("DocumentAlreadyExists", f"Document with name {name} already exists.")
        if request.get("DocumentType", "Command") != "Command" or request.get("DocumentFormat", "JSON") != "JSON":
            raise Refused("InvalidDocumentContent", "only documents of type Command in JSON run here")
        self.register(name, request["Content"])
        return {"DocumentDescription": self._documents[name].described(name)}

    def _delete(self, request: Request) -> dict[str, Any]:
        if self._documents.pop(request["Name"], None) is None:
            raise Refused("InvalidDocument", f"Document {request['Name']} does not exist in your account")
        return {}

    def _send(self, request: Request) -> dict[str, Any]:
        document = (AWS_DOCUMENTS | self._documents).get(request["DocumentName"])
        if document is None:
            raise Refused("InvalidDocument", f"Document {request['DocumentName']} does not exist in your account")
        document.check_version(request)
        instances = request.get("InstanceIds", [])
        if len(instances) != 1 or request.get("Targets"):
            raise Refused("InvalidParameters", "here, a command is sent to one server, by InstanceIds")
        (instance,) = instances
        if not self.agents.has(instance):
            raise Refused(
                "InvalidInstanceId", f"Instances [[{instance}]] not in a valid state for account {self._account}"
            )
        values = document.values(request.get("Parameters", {}))
        command = Command(
            id=self._new_id(),
            document_name=request["DocumentName"],
            document_version=request.get("DocumentVersion", "$DEFAULT"),
            instance_id=instance,
            step=document.step,
            script=document.script(values),
            working_directory=document.working_directory(values),
            parameters=values,
            given=request.get("Parameters", {}),
            comment=request.get("Comment", ""),
            sent=self._now(),
            timeout_seconds=document.timeout_seconds(values),
            delivery_seconds=request.get("TimeoutSeconds", DEFAULT_DELIVERY_SECONDS),
        )
        self._commands.append(command)
        return {"Command": self._described(command)}

    def _get(self, request: Request) -> dict[str, Any]:
        command = self._command(request, "InvocationDoesNotExist")
        plugin = request.get("PluginName", command.step)
        if request["InstanceId"] != command.instance_id:
            raise Refused("InvocationDoesNotExist")
        if plugin != command.step:
            raise Refused("InvalidPluginName")
        command.asked += 1
        since = self._now() - command.sent
        if command.asked <= self.hidden_calls or since < self.hidden_seconds:
            raise Refused("InvocationDoesNotExist")
        is_over, result = command.ended is not None, command.result
        return {
            "CommandId": command.id,
            "InstanceId": command.instance_id,
            "Comment": command.comment,
            "DocumentName": command.document_name,
            "DocumentVersion": command.document_version,
            "PluginName": command.step,
            "ResponseCode": result.exit_code,
            "ExecutionStartDateTime": _text_of(command.began),
            "ExecutionElapsedTime": f"PT{command.ended - command.began:.3f}S"
            if command.ended and command.began
            else "",
            "ExecutionEndDateTime": _text_of(command.ended if command.began else None),
            "Status": command.status,
            "StatusDetails": command.details,
            "StandardOutputContent": result.output[:MOST_OUTPUT] if is_over else "",
            "StandardOutputUrl": "",
            "StandardErrorContent": result.errors[:MOST_ERRORS] if is_over else "",
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        }

    def _cancel(self, request: Request) -> dict[str, Any]:
        command = self._command(request, "InvalidCommandId")
        if any(instance != command.instance_id for instance in request.get("InstanceIds", [])):
            raise Refused("InvalidInstanceId")
        self.agents.cancel(command)
        return {}

    def _list(self, request: Request) -> dict[str, Any]:
        listed = [self._command(request, "InvalidCommandId")] if "CommandId" in request else self._commands[::-1]
        if instance := request.get("InstanceId"):
            listed = [command for command in listed if command.instance_id == instance]
        for each in request.get("Filters", []):
            listed = [command for command in listed if _passes(command, each["key"], each["value"])]
        begin, size = 0, request.get("MaxResults", MOST_PER_PAGE)
        if token := request.get("NextToken"):
            ids = [command.id for command in listed]
            if token not in ids:
                raise Refused("InvalidNextToken", "The specified token isn't valid.")
            begin = ids.index(token)
        page = {"Commands": [self._described(command) for command in listed[begin : begin + size]]}
        return page | ({"NextToken": listed[begin + size].id} if len(listed) > begin + size else {})

    def _instance_information(self, request: Request) -> dict[str, Any]:
        return instance_information(request, self.agents, self._instances(), now=self._now())

    def _command(self, request: Request, error: str) -> Command:
        for command in self._commands:
            if command.id == request["CommandId"]:
                return command
        raise Refused(error)

    def _described(self, command: Command) -> dict[str, Any]:
        is_over = command.ended is not None
        expires = command.sent + (command.delivery_seconds + command.timeout_seconds)
        return {
            "CommandId": command.id,
            "DocumentName": command.document_name,
            "DocumentVersion": command.document_version,
            "Comment": command.comment,
            "ExpiresAfter": datetime.fromtimestamp(expires, UTC),
            "Parameters": command.given,
            "InstanceIds": [command.instance_id],
            "Targets": [],
            "RequestedDateTime": datetime.fromtimestamp(command.sent, UTC),
            "Status": command.status,
            "StatusDetails": command.details,
            "MaxConcurrency": "50",
            "MaxErrors": "0",
            "TargetCount": 1,
            "CompletedCount": int(is_over),
            "ErrorCount": int(is_over and command.status in ("Failed", "TimedOut")),
            "DeliveryTimedOutCount": int(command.details == "DeliveryTimedOut"),
            "TimeoutSeconds": command.delivery_seconds,
        }


def _passes(command: Command, key: str, value: str) -> bool:
    match key:
        case "InvokedAfter":
            return command.sent >= _time_of(value)
        case "InvokedBefore":
            return command.sent < _time_of(value)
        case "Status":
            return value in (command.status, command.details)
        case "ExecutionStage":
            return (value == "Complete") == (command.ended is not None)
        case "DocumentName":
            return value == command.document_name
        case _:
            raise Refused("InvalidFilterKey", f"{key} is not a filter of ListCommands")


def _time_of(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError:
        raise Refused("ValidationException", f"{text} is not a time in ISO 8601") from None


def _text_of(moment: float | None) -> str:
    return (
        ""
        if moment is None
        else datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
