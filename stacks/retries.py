"""What is tried again, and how patiently."""

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

# Lambda's own failures, which AWS recommends to retry, with those that only idempotent functions may be retried on:
# a function that ran out of time, or died. Ours all look before they change anything.
# Source: Step Functions Developer Guide, "Handle transient Lambda service exceptions".
LAMBDA_FAILURES = [
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
]
TRANSIENT = ["EC2Unavailable", *LAMBDA_FAILURES]
SERVICE_TIMEOUT_SECONDS = 30
SERVICE_TIMEOUT = sfn.Timeout.duration(Duration.seconds(SERVICE_TIMEOUT_SECONDS))
CONDITION_FAILED = "DynamoDB.ConditionalCheckFailedException"


def retry_forward(task: sfn.TaskStateBase) -> None:
    """Up to 4 more tries within about 10 s: going back is always possible, so going on is not insisted on."""
    _retry(task, TRANSIENT, max_attempts=4, max_delay=5)


def retry_rollback(task: sfn.TaskStateBase) -> None:
    """Up to 10 more tries within about 3 minutes, refusals included: nothing comes after the rollback but a person."""
    _retry(task, ["EC2Refused", *TRANSIENT], max_attempts=10, max_delay=30)


def retry_service(task: sfn.TaskStateBase) -> None:
    """A call to DynamoDB, SNS or Step Functions: a condition that does not hold is an answer, all else may pass."""
    task.add_retry(errors=[CONDITION_FAILED], max_attempts=0)
    _retry(task, ["States.ALL"], max_attempts=4, max_delay=5)


def _retry(task: sfn.TaskStateBase, errors: list[str], *, max_attempts: int, max_delay: int) -> None:
    task.add_retry(
        errors=errors,
        interval=Duration.seconds(1),
        backoff_rate=2,
        max_attempts=max_attempts,
        max_delay=Duration.seconds(max_delay),
        jitter_strategy=sfn.JitterType.FULL,
    )
