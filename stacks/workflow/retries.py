"""What is tried again, and how patiently."""

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

TOO_MANY = "Lambda.TooManyRequestsException"
# Lambda's own failures, which AWS recommends to retry, with those that only idempotent functions may be retried on:
# a function that ran out of time, or died. Ours all look before they change anything.
# Source: Step Functions Developer Guide, "Handle transient Lambda service exceptions".
LAMBDA_FAILURES = [
    "Lambda.AWSLambdaException", "Lambda.ClientExecutionTimeoutException", "Lambda.SdkClientException",
    "Lambda.ServiceException", TOO_MANY, "Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout",
]  # fmt: skip
TRANSIENT = ["EC2Unavailable", *(failure for failure in LAMBDA_FAILURES if failure != TOO_MANY)]
# A function in a VPC that was not called for weeks is inactive: its first call fails, and has Lambda make its network
# interfaces anew, which takes minutes. Step Functions puts "Lambda." before the names of Lambda's errors. AWS does not
# document in which capitals: those of its API and of its SDK for Java 2 differ, so both are here (unverified which).
# Source: Lambda Developer Guide, "Lambda function states"; Lambda API Reference, errors of "Invoke".
INACTIVE = [
    "Lambda.ResourceNotReadyException", "Lambda.ResourceConflictException",
    "Lambda.ENINotReadyException", "Lambda.EniNotReadyException",
    "Lambda.EC2ThrottledException", "Lambda.Ec2ThrottledException",
    "Lambda.EC2UnexpectedException", "Lambda.Ec2UnexpectedException",
]  # fmt: skip
# Too many at once, of ours or of others: no fault but a queue (docs/decisions/0015-throttling-is-a-queue.md).
THROTTLED = ["EC2Throttled", TOO_MANY]
# As many as the history of an execution has room for, which is 25,000 events: a failed try is three of them.
# Source: Step Functions Developer Guide, "Service quotas".
THROTTLED_TRIES = 400
SERVICE_TIMEOUT_SECONDS = 30
SERVICE_TIMEOUT = sfn.Timeout.duration(Duration.seconds(SERVICE_TIMEOUT_SECONDS))
CONDITION_FAILED = "DynamoDB.ConditionalCheckFailedException"


def retry_before_changes(task: sfn.TaskStateBase) -> None:
    """Before the changes. Up to 4 more tries within about 10 s, as going back costs nothing.

    While throttled, up to 400 more, up to 5 s apart: some 17 minutes. That is seldom enough to leave EC2's limit to
    the executions that are in the middle of their changes.
    """
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=5)
    _retry(task, TRANSIENT, max_attempts=4, max_delay=5)


def retry_change(task: sfn.TaskStateBase) -> None:
    """Up to 4 more tries within about 10 s: going back is always possible, so going on is not insisted on.

    While throttled, up to 400 more, up to 2 s apart: some 7 minutes. Going back takes as many calls as going on.
    """
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=2)
    _retry(task, TRANSIENT, max_attempts=4, max_delay=5)


def retry_rollback(task: sfn.TaskStateBase) -> None:
    """Up to 10 more tries within about 3 minutes, refusals included: nothing comes after the rollback but a person.

    While throttled, as `retry_change`.
    """
    _retry(task, THROTTLED, max_attempts=THROTTLED_TRIES, max_delay=2)
    _retry(task, ["EC2Refused", *TRANSIENT], max_attempts=10, max_delay=30)


def retry_inactive(task: sfn.TaskStateBase) -> None:
    """A function in a VPC, before the changes: up to 40 more tries, up to 30 s apart: some 9 minutes, at most 18."""
    _retry(task, INACTIVE, max_attempts=40, max_delay=30)


def retry_service(task: sfn.TaskStateBase) -> None:
    """A call to DynamoDB, SNS or Step Functions: a condition that does not hold is an answer, all else may pass."""
    task.add_retry(errors=[CONDITION_FAILED], max_attempts=0)
    _retry(task, ["States.ALL"], max_attempts=4, max_delay=5)


def retry_unknown(task: sfn.TaskStateBase, error: str) -> None:
    """What a service does not know yet: 7 more tries within 45 s."""
    _retry(task, [error], max_attempts=7, max_delay=10, jitter=sfn.JitterType.NONE)


def _retry(
    task: sfn.TaskStateBase,
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
