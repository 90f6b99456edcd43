"""What ends a command early, each as one sentence that says what to do: the client never prints a traceback."""

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from client.result import CLIENT_FAILED, UNLOCK_REFUSED
from client.text import plain

# What a call may raise: an error of the SDK, an error that AWS answers with, an answer that is not from AWS.
AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "AuthFailure",
           "InvalidClientTokenId", "SignatureDoesNotMatch")  # fmt: skip
BUSY = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "ServiceUnavailable", "InternalError", "RequestTimeout",
        "SlowDown", "ProvisionedThroughputExceeded", "InternalServerError")  # fmt: skip


class Problem(Exception):
    """The client cannot do what it was asked to do; the message is for a person."""

    exit_code = CLIENT_FAILED


class UnlockRefused(Problem):
    """The lock is not dead."""

    exit_code = UNLOCK_REFUSED


class UnknownExecution(Problem):
    """Step Functions knows no such execution: it never existed, or it ended more than 90 days ago."""


class NotAnExecution(Problem):
    """A text is not the ARN of an execution."""


def code_of(error: Exception) -> str:
    """The error code that AWS answered with; empty for any other error."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: no answer, throttling, a fault on AWS's side."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or any(word in code_of(error) for word in BUSY)
    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError | ResponseParserError)


def sentence(error: Exception) -> str:
    """What went wrong in AWS or its SDK, and what to do about it, in one line."""
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if isinstance(error, exceptions.NoRegionError):
        return "No Region is set. Set AWS_REGION to the Region of the stack."
    if not isinstance(error, ClientError):
        return f"The call to AWS failed: {plain(error)}"
    action, code = error.operation_name, plain(code_of(error), 80)
    message = plain(error.response.get("Error", {}).get("Message", ""), 400)
    if code in DENIED:
        return f"{action} is not permitted; docs/client.md lists what each command needs. AWS: {message}"
    if code in EXPIRED:
        return f"AWS does not accept these credentials ({code}). Renew them, or set others. AWS: {message}"
    return f"{action} failed with {code}: {message}"
