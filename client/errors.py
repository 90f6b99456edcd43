"""What ends a command before its time, each as one sentence that says what to do: no traceback leaves the client."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  # botocore's own
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from client.text import plain

# What a call may raise: the SDK's errors, AWS's answers, and an answer that is not AWS's.
AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "AuthFailure",
           "InvalidClientTokenId", "SignatureDoesNotMatch")  # fmt: skip
BUSY = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "ServiceUnavailable", "InternalError", "RequestTimeout",
        "SlowDown", "ProvisionedThroughputExceeded", "InternalServerError")  # fmt: skip


class Problem(Exception):
    """The client cannot do what was asked; the message is for a person."""

    exit_code = 1


class Refused(Problem):
    """It could, and must not: the lock is not dead."""

    exit_code = 20


class UnknownExecution(Problem):
    """Step Functions knows no such execution: there never was one, or its 90 days are over."""


class NotAnExecution(Problem):
    """What should be the ARN of an execution is something else."""


def code_of(error: Exception) -> str:
    """The error code of an answer of AWS; empty for anything else."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: no answer, throttling, a fault on AWS's side."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or any(word in code_of(error) for word in BUSY)
    return isinstance(error, ConnectionError | HTTPClientError | ResponseParserError)


def sentence(error: Exception) -> str:
    """What AWS or its SDK said, and what to do about it, in one line."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if isinstance(error, NoRegionError):
        return "No Region is set. Set AWS_REGION to the Region that the stack is in."
    if not isinstance(error, ClientError):
        return f"AWS could not be asked: {plain(error)}"
    action, message = error.operation_name, plain(error.response.get("Error", {}).get("Message", ""), 400)
    code = plain(code_of(error), 80)
    if code in DENIED:
        return f"{action} is not permitted; docs/client.md lists what each command needs. AWS said: {message}"
    if code in EXPIRED:
        return f"AWS does not accept these credentials ({code}). Renew them, or set others. AWS said: {message}"
    return f"{action} failed with {code}: {message}"
