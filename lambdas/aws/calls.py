"""How AWS is called: the clients, and what the errors of EC2 mean to the workflow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import EC2Refused, EC2Throttled, EC2Unavailable, PreflightFailed
from domain.text import printable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

Ec2: TypeAlias = "EC2Client"
Sleep = Callable[[float], None]
Clock = Callable[[], float]
Wait = Callable[[float], bool]  # returns true if the caller should stop, as the wait of a `threading.Event` does
# The slowest call ends within some 25 s, well within the functions' 30 s: 3 attempts of at most 2 + 5 s.
CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
# One attempt within 5 s, for callers that repeat the call themselves and must not take long.
ONE_CALL_SECONDS = 5
ONCE = CONFIG.merge(Config(read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1}))
# One attempt within some 2 s: nobody waits for it, or it is soon tried again.
HURRIED = ONCE.merge(Config(connect_timeout=1, read_timeout=1))
OF_A_FAILURE = {"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"}
# With those of a pending instance: EC2 API Reference, "Error codes".
TRANSIENT_CODES = {"IncorrectInstanceState", "InvalidInstanceID", "InvalidInstanceID.NotFound", *OF_A_FAILURE}
FAILURES = (ClientError, BotoCoreError)
# EC2's own codes, and those of other services that botocore knows.
THROTTLED_CODES = {"EC2ThrottledException", "RequestLimitExceeded", "Throttling", "ThrottlingException"}


def ec2_client(config: Config = CONFIG) -> Ec2:
    return boto3.client("ec2", config=config)


@cache
def aws_client(service: Any, config: Config = CONFIG) -> Any:
    return boto3.client(service, config=config)


def read_error(error: Exception) -> tuple[str, str, int]:
    """The error's code, a text that is safe to print, and the HTTP status; "" and 503 if there was no answer."""
    if not isinstance(error, ClientError):
        return "", printable(str(error)), 503
    code, status = error.response["Error"]["Code"], error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return code, f"{code}: {printable(error.response['Error'].get('Message', 'no message'))}", status or 400


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turns botocore's errors into ours: EC2Throttled and EC2Unavailable may be tried again, EC2Refused may not."""
    try:
        yield
    except FAILURES as error:
        code, text, status = read_error(error)
        message = f"{call} {'failed with' if code else 'got no answer:'} {text}"
        if code in THROTTLED_CODES:
            raise EC2Throttled(message) from error
        if code in TRANSIENT_CODES or status >= 500:
            raise EC2Unavailable(message) from error
        raise EC2Refused(message, code) from error


@contextmanager
def refused_as_preflight() -> Iterator[None]:
    """If EC2 refuses a call before anything was changed, the preflight has failed."""
    try:
        yield
    except EC2Refused as error:
        raise PreflightFailed(str(error)) from error


@contextmanager
def rehearsed(call: str) -> Iterator[None]:
    """A call with DryRun=True is permitted if EC2 answers with the error DryRunOperation. Raises PreflightFailed."""
    try:
        with translated(call):
            yield
    except EC2Refused as error:
        if error.code != "DryRunOperation":
            raise PreflightFailed(str(error)) from error
