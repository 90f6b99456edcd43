"""boto3's clients: each attempt is a call of its own, with the timeouts and the retries of the client's configuration.
Source of what is retried and of the pauses: botocore's "standard" mode (AWS SDKs Reference Guide, "Retry behavior")."""

from functools import cache
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from tests.simulation.fates import Call
from tests.simulation.scheduler import NoAnswer
from tests.simulation.seams.present import present
from tests.simulation.world.errors import AwsError

THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "TooManyRequestsException",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "EC2ThrottledException",
}  # fmt: skip
OF_A_FAILURE = (500, 502, 503, 504)
LONGEST_PAUSE = 20.0
DEFAULT_TRIES, DEFAULT_TIMEOUT = 3, 60.0


def make_api_call(client: BaseClient, action: str, parameters: dict[str, Any]) -> Any:
    """In place of `BaseClient._make_api_call`."""
    service, tries, patience = _settings(client)
    outside = present()
    scheduler = outside.scheduler
    group = scheduler.current.group
    for failed in range(1, tries + 1):
        number = group.number(f"{service} {action}")
        call = Call(group.path, service, action, number, "function", patience, parameters)
        try:
            return scheduler.call(call, outside.answer)
        except AwsError as error:
            if failed == tries or not (error.code in THROTTLED or error.status in OF_A_FAILURE):
                raise _client_error(client, action, error) from error
        except NoAnswer as nothing:
            if failed == tries:
                raise _without_answer(nothing, service) from nothing
        pause = scheduler.schedule.number(f"{call.key}/pause") * 2 ** (failed - 1)
        scheduler.sleep(min(pause, LONGEST_PAUSE))
    raise AssertionError("a client makes at least one attempt")


@cache
def _settings(client: BaseClient) -> tuple[str, int, float]:
    """The service, how many attempts, and after how many seconds an attempt is given up."""
    config: Any = client.meta.config
    tries = (config.retries or {}).get("total_max_attempts", DEFAULT_TRIES)
    patience = float(config.connect_timeout or DEFAULT_TIMEOUT) + float(config.read_timeout or DEFAULT_TIMEOUT)
    return client.meta.service_model.service_name, tries, patience


def _client_error(client: Any, action: str, error: AwsError) -> Exception:
    response = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status, "RequestId": "simulated"},
    }
    failure: Exception = client.exceptions.from_code(error.code)(response, action)
    return failure


def _without_answer(nothing: NoAnswer, service: str) -> Exception:
    url = f"https://{service}.us-east-1.amazonaws.com/"
    return ConnectionClosedError(endpoint_url=url) if nothing.closed else ReadTimeoutError(endpoint_url=url)
