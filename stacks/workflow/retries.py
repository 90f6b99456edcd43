"""What is tried again, how often, and for how long."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, aws_stepfunctions as sfn

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
# Of an inactive function (`inactive-function` in docs/aws-facts.md). Step Functions puts "Lambda." before the names of
# Lambda's errors. AWS's API and its SDK for Java 2 differ in capitals, so both are here (not verified on AWS).
INACTIVE = [
    "Lambda.CodeArtifactUserPendingException", "Lambda.CodeArtifactUserDeletedException",
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
DYNAMODB_FAILURES = [f"DynamoDb.{failure}Exception" for failure in (
    "InternalServerError", "DynamoDb", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "SdkClient",
    "Throttling",
)]  # fmt: skip
NO_EXECUTION = "Sfn.ExecutionDoesNotExistException"
CONDITION_FAILED = "DynamoDB.ConditionalCheckFailedException"
Retries = Sequence[Mapping[str, Any]]


def _tries(errors: list[str], most: int, longest: int, jitter: sfn.JitterType = sfn.JitterType.FULL) -> dict[str, Any]:
    """Up to `most` more tries. The pauses grow from 1 s up to the longest, in seconds."""
    pauses = {"interval": Duration.seconds(1), "backoff_rate": 2, "max_delay": Duration.seconds(longest)}
    return {"errors": errors, "max_attempts": most, "jitter_strategy": jitter, **pauses}


# How long the tries take together is in docs/architecture.md. No inactive function is called amid the changes.
_PREPARED = _tries(INACTIVE, 10, 30, sfn.JitterType.NONE)
# Giving up costs nothing here. The longer pauses leave EC2's limit to executions amid their changes.
_THROTTLED_BEFORE, _TRANSIENT_BEFORE = _tries(THROTTLED, THROTTLED_TRIES, 5), _tries(TRANSIENT, 4, 5)
BEFORE_CHANGES = [_THROTTLED_BEFORE, _PREPARED, _TRANSIENT_BEFORE]
IN_VPC = [_THROTTLED_BEFORE, _tries(INACTIVE, 40, 30), _TRANSIENT_BEFORE]
# A change can give up, because the rollback is always possible; it takes as many throttled calls as going on.
CHANGE = [_tries(THROTTLED, THROTTLED_TRIES, 2), _tries(TRANSIENT, 4, 5)]
# In the rollback, and the repair, also what EC2 refuses is tried again. Then a person must act.
ROLLBACK = [_tries(THROTTLED, THROTTLED_TRIES, 2), _PREPARED, _tries(["EC2Refused", *TRANSIENT], 10, 30)]
# For a call to DynamoDB, SNS or Step Functions: every error is tried again, except a failed condition.
SERVICE: Retries = [{"errors": [CONDITION_FAILED], "max_attempts": 0}, _tries(["States.ALL"], 4, 5)]
# For a call to DynamoDB that then waits for an answer, which may be an error, too: only DynamoDB's own are tried again.
WRITE = [_tries(DYNAMODB_FAILURES, 4, 5)]
# For an execution that Step Functions does not know yet.
UNKNOWN_EXECUTION = [_tries([NO_EXECUTION], 5, 10, sfn.JitterType.NONE), *SERVICE]


def retry(task: sfn.TaskStateBase | sfn.CustomState, retries: Retries) -> None:
    for each in retries:
        task.add_retry(**each)
