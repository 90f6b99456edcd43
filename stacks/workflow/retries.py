"""What is tried again, how often, and for how long."""

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

TOO_MANY = "Lambda.TooManyRequestsException"
# Lambda's own failures, which AWS recommends to retry, and a function that timed out or died, which only idempotent
# functions may retry. Our functions all describe the addresses before they change anything.
# Source: Step Functions Developer Guide, "Handle transient Lambda service exceptions".
LAMBDA_FAILURES = [
    "Lambda.AWSLambdaException", "Lambda.ClientExecutionTimeoutException", "Lambda.SdkClientException",
    "Lambda.ServiceException", TOO_MANY, "Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout",
]  # fmt: skip
UNAVAILABLE = ["CommandUnavailable", "EC2Unavailable", "RecordUnavailable"]
TRANSIENT = [*UNAVAILABLE, *(failure for failure in LAMBDA_FAILURES if failure != TOO_MANY)]
# A function in a VPC that was not called for weeks is inactive. Its first call fails, and makes Lambda create its
# network interfaces again, which takes minutes. Step Functions puts "Lambda." before the names of Lambda's errors. AWS
# does not document the capitals: its API and its SDK for Java 2 differ, so both are here (not verified on AWS).
# Source: Lambda Developer Guide, "Lambda function states"; Lambda API Reference, errors of "Invoke".
INACTIVE = [
    "Lambda.ResourceNotReadyException", "Lambda.ResourceConflictException",
    "Lambda.ENINotReadyException", "Lambda.EniNotReadyException",
    "Lambda.EC2ThrottledException", "Lambda.Ec2ThrottledException",
    "Lambda.EC2UnexpectedException", "Lambda.Ec2UnexpectedException",
]  # fmt: skip
# Too many calls at once, ours or others': a queue, not a failure (docs/decisions/0015-throttling-is-a-queue.md).
THROTTLED = ["EC2Throttled", TOO_MANY]
# The history of an execution has room for so many: it has 25,000 events, and a failed try takes three of them.
# Source: Step Functions Developer Guide, "Service quotas".
THROTTLED_TRIES = 400
SERVICE_TIMEOUT_SECONDS = 30
SERVICE_TIMEOUT = sfn.Timeout.duration(Duration.seconds(SERVICE_TIMEOUT_SECONDS))
# An SDK integration names a service's errors so; `SdkClientException` if there was no answer. Source: Step Functions
# Developer Guide, "Learning to use AWS service SDK integrations".
DYNAMODB_FAILURES = [
    f"DynamoDb.{failure}Exception"
    for failure in (
        "InternalServerError", "DynamoDb", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "SdkClient",
        "Throttling",
    )
]  # fmt: skip
CONDITION_FAILED = "DynamoDB.ConditionalCheckFailedException"


def retry_before_changes(task: sfn.TaskStateBase) -> None:
    """Before the changes: up to 4 more tries within about 10 s, because giving up costs nothing here. While throttled,
    up to 400 more, up to 5 s apart: some 17 minutes. These pauses leave EC2's limit to the executions that are in the
    middle of their changes."""
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=5)
    _retry(task, TRANSIENT, max_attempts=4, max_delay=5)


def retry_change(task: sfn.TaskStateBase) -> None:
    """For a change: up to 4 more tries within about 10 s. It can give up, because the rollback is always possible.
    While throttled, up to 400 more, up to 2 s apart: some 7 minutes. A rollback takes as many calls as going on."""
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=2)
    _retry(task, TRANSIENT, max_attempts=4, max_delay=5)


def retry_rollback(task: sfn.TaskStateBase) -> None:
    """For the rollback: up to 10 more tries within about 3 minutes, even if EC2 refuses. After it, a person must act.
    While throttled, as `retry_change`."""
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=2)
    _retry(task, ["EC2Refused", *TRANSIENT], max_attempts=10, max_delay=30)


def retry_inactive(task: sfn.TaskStateBase) -> None:
    """A function in a VPC, before the changes: up to 40 more tries, up to 30 s apart; some 9 minutes, at most 18."""
    _retry(task, INACTIVE, max_attempts=40, max_delay=30)


def retry_service(task: sfn.TaskStateBase) -> None:
    """For a call to DynamoDB, SNS or Step Functions: every error is tried again, except a failed condition."""
    task.add_retry(errors=[CONDITION_FAILED], max_attempts=0)
    _retry(task, ["States.ALL"], max_attempts=4, max_delay=5)


def retry_write(task: sfn.TaskStateBase | sfn.CustomState) -> None:
    """For a call to DynamoDB after which the state waits for an answer. The answer may be an error, too, so only
    DynamoDB's own failures are tried again."""
    _retry(task, DYNAMODB_FAILURES, max_attempts=4, max_delay=5)


def retry_unknown(task: sfn.TaskStateBase, error: str) -> None:
    """For something that a service does not know yet: 5 more tries within 25 s."""
    _retry(task, [error], max_attempts=5, max_delay=10, jitter=sfn.JitterType.NONE)


def _retry(
    task: sfn.TaskStateBase | sfn.CustomState,
    errors: list[str],
    *,
    max_attempts: int,
    max_delay: int,
    jitter: sfn.JitterType = sfn.JitterType.FULL,
) -> None:
    task.add_retry(
        errors=errors,
        interval=Duration.seconds(1),
        backoff_rate=2,
        max_attempts=max_attempts,
        max_delay=Duration.seconds(max_delay),
        jitter_strategy=jitter,
    )
