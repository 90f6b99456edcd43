"""Systems Manager's Run Command: sends a command to one server, describes it, cancels it. SendCommand has no client
token, so a command whose answer was lost is found by its comment. Source: Systems Manager API Reference."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from aws.calls import FAILURES, OF_A_FAILURE, ONCE, THROTTLED_CODES, aws_client, read_error
from domain.errors import CommandUnavailable
from domain.pair import Pair
from domain.release_commands import DELIVERY_SECONDS, GOING_ON, UNKNOWN, Command, document, last_line, parameter, quoted

NOT_YET = "InvocationDoesNotExist"  # the answer for a command that was just sent
ADVICE = {
    "InvalidInstanceId": "Check that its agent runs, and that its instance profile has AmazonSSMManagedInstanceCore.",
    "Undeliverable": "Check that its agent runs and reaches Systems Manager.",
    "DeliveryTimedOut": "Check that its agent runs and reaches Systems Manager.",
    "ExecutionTimedOut": "Raise timeoutSeconds in cdk.json if it needs more time.",
}

logger = Logger(child=True)


class NotSent(Exception):
    """Systems Manager refused the command, maybe because it throttles; the message is for a person."""

    def __init__(self, message: str, *, throttled: bool) -> None:
        super().__init__(message)
        self.throttled = throttled


class RunCommand:
    """The commands that an execution of this name sends for a pair."""

    def __init__(self, pair: Pair, execution: str, client: Any = None) -> None:
        self._pair, self._execution, self._ssm = pair, execution, client or aws_client("ssm", ONCE)

    def _comment(self, command: Command) -> str:
        return f"{command.step} {self._execution}"[:100]

    def send(self, command: Command, release: str | None, execution: str, timeout_seconds: int) -> str:
        """The id of the command that was sent. Raises NotSent, and CommandUnavailable: then it may have been sent."""
        of_pair = document(self._pair)
        assert of_pair  # noqa: S101  # the step of a command belongs to a document
        parameters = {
            "Step": command.step, "Pair": self._pair.name, "Server": command.server, "Release": release or "",
            "Execution": parameter(execution), "TimeoutSeconds": str(timeout_seconds),
        }  # fmt: skip
        try:
            sent = self._ssm.send_command(
                DocumentName=os.environ["DOCUMENTS"] + of_pair.key,
                DocumentVersion="1",
                DocumentHash=of_pair.hash,
                DocumentHashType="Sha256",
                InstanceIds=[command.instance_id],
                Parameters={name: [value] for name, value in parameters.items()},
                TimeoutSeconds=DELIVERY_SECONDS,
                Comment=self._comment(command),
            )
        except FAILURES as error:
            code, message, status = read_error(error)
            if code in OF_A_FAILURE or status >= 500:
                raise CommandUnavailable(f"SendCommand: {message}") from error
            refused = f"Systems Manager did not accept the command {command.step} for {command.server}"
            why = f"{refused} ({command.instance_id}): {message.removesuffix('.')}. {ADVICE.get(code, '')}".rstrip()
            raise NotSent(why, throttled=code in THROTTLED_CODES) from error
        return str(sent["Command"]["CommandId"])

    def find(self, command: Command) -> str | None:
        """The id of a command that may have been sent. Raises CommandUnavailable."""
        since = datetime.fromtimestamp(int(command.sent) - DELIVERY_SECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        after = {"key": "InvokedAfter", "value": since}
        try:
            pages = self._ssm.get_paginator("list_commands").paginate(InstanceId=command.instance_id, Filters=[after])
            comment = self._comment(command)
            sent = [each for page in pages for each in page["Commands"] if each.get("Comment") == comment]
        except FAILURES as error:
            raise CommandUnavailable(f"ListCommands: {read_error(error)[1]}") from error
        return max(sent, key=lambda each: each["RequestedDateTime"])["CommandId"] if sent else None

    def look(self, command: Command) -> Command:
        """The command as it is now, without output before its end; UNKNOWN if Systems Manager does not say."""
        try:
            shown = self._ssm.get_command_invocation(CommandId=command.id, InstanceId=command.instance_id)
        except FAILURES as error:
            code, message, _ = read_error(error)
            if code == NOT_YET:
                return command
            logger.warning("command not seen", extra={"reason": message})
            return replace(command, status=UNKNOWN)
        output = shown.get("StandardOutputContent") or shown.get("StandardErrorContent") or ""
        seen = replace(command, status=str(shown["Status"]), line=last_line(output) or command.line)
        if seen.status in GOING_ON:
            return seen
        details = str(shown.get("StatusDetails") or seen.status)
        exited = seen.status == "Failed" and shown["ResponseCode"] > 0
        code = f" with exit code {shown['ResponseCode']}" if exited else ""
        advice = f" {ADVICE[details]}" if details in ADVICE else ""
        failure = f"ended {details}{code}.{advice} Its last lines:{quoted(output)}"
        return seen.ends(seen.status, None if seen.status == "Success" else failure)

    def cancel(self, command: Command) -> None:
        """Asks for the end of the command, maybe again; Systems Manager does not promise it. Raises nothing."""
        try:
            self._ssm.cancel_command(CommandId=command.id, InstanceIds=[command.instance_id])
        except FAILURES as error:
            logger.warning("command not cancelled", extra={"reason": read_error(error)[1]})
