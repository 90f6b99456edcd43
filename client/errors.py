"""The errors that end a command. Each has a message that says what to do: the client never prints a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from client.result import CLIENT_FAILED, USAGE
from client.text import plain


class UnusableSettings(Exception):
    """The SDK cannot use its settings: a file is missing, a program does not run, a value is not a URL."""


# What a call may raise: an error of the SDK, an error that AWS answers with, an answer that is not from AWS.
AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError, UnusableSettings)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "AuthFailure",
           "InvalidClientTokenId", "SignatureDoesNotMatch")  # fmt: skip
# AWS's other errors that may pass have the HTTP status 5xx.
BUSY = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "RequestTimeout", "ProvisionedThroughputExceeded")


class Problem(Exception):
    """The client cannot do what it was asked to do; the message is for a person."""

    exit_code = CLIENT_FAILED


class WrongName(Problem):
    """The stack has no such pair, or the pair no such server."""

    exit_code = USAGE


class UnknownExecution(Problem):
    """At this moment, by AWS's clock, Step Functions did not know the execution: it has just started
    (DescribeExecution is eventually consistent), it never existed, or it ended 90 days ago."""

    def __init__(self, message: str, moment: datetime) -> None:
        super().__init__(message)
        self.moment = moment


class NotAnExecution(Problem):
    """The text is not the ARN of an execution."""


@contextmanager
def unusable_settings() -> Iterator[None]:
    """Around every use of the SDK, whose settings or credentials cause every error that is not its own."""
    try:
        yield
    except AWS_ERRORS:
        raise
    except Exception as error:
        raise UnusableSettings(f"{type(error).__name__}: {error}") from error


def code_of(error: Exception) -> str:
    """The error code in AWS's answer; empty for any other error."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed soon: AWS did not answer, throttled the call, or failed itself."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or any(word in code_of(error) for word in BUSY)
    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError | ResponseParserError)


def sentence(error: Exception) -> str:
    """What went wrong, here or in AWS or its SDK, and what to do. If in AWS or its SDK, on one line."""
    match error:
        case Problem():
            said = str(error)
        case ClientError(operation_name=action):
            code, message = plain(code_of(error), 80), plain(error.response.get("Error", {}).get("Message", ""), 400)
            said = f"{action} failed with {code}: {message}"
            if code in DENIED:
                said = f"{action} is not permitted; docs/client.md lists the permissions. AWS: {message}"
            elif code in EXPIRED:
                said = f"AWS does not accept these credentials ({code}). Renew them, or use others. AWS: {message}"
        case exceptions.NoCredentialsError():
            said = "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        case exceptions.PartialCredentialsError(kwargs={"provider": provider, "cred_var": missing}):
            place = "environment" if provider == "env" else f"profile (AWS_PROFILE, else default; {plain(provider)})"
            said = f"The AWS credentials are incomplete. The {place} lacks {plain(missing)}."
        case exceptions.NoRegionError():
            said = "No Region is set. Set AWS_REGION to the Region of the stack."
        case UnusableSettings():
            places = "the AWS variables (AWS_PROFILE, AWS_ENDPOINT_URL, ...) and the profile"
            said = f"The AWS SDK cannot use its settings. Check {places}: {plain(error, 400)}"
        case _:
            said = f"The call to AWS failed: {plain(error, 600)}"
    return said
