"""The errors of a cutover. States `Retry` and `Catch` their class names (`tests/stacks/test_contract.py` compares
both). A person reads the message, often at night: what was found and expected, what is true now and what to do."""


class CutoverError(Exception):
    """The base class of these errors; it is never raised itself."""


class InvalidRequest(CutoverError):
    """The input is wrong; nothing was read except the configuration."""


class PreflightFailed(CutoverError):
    """A check before the first change failed, such as a permission or an instance state; production was not touched."""


class StagingUnhealthy(CutoverError):
    """The idle server failed its health check through the staging address; production was not touched."""


class ProductionUnhealthy(CutoverError):
    """The server that holds the production address failed its health check through it."""


class AddressMoved(CutoverError):
    """An address is not where the plan expects it: someone else moved it. This step changed nothing."""


class AddressesMoving(CutoverError):
    """An execution has just ended. EC2 may show, and AWS lead users to, the places before it. Nothing was changed."""


class MovedMeanwhile(CutoverError):
    """Someone else moved an address after this step changed an address, or may have; the rollback describes both."""


class Redriven(CutoverError):
    """The execution was redriven after it had ended, so it may no longer hold the lock; this step changed nothing."""


class RollbackRequested(CutoverError):
    """Another execution asked this one to roll back, by the item of the lock. This step changed nothing."""


class DeployFailed(CutoverError):
    """The release is not on the idle server; production was not touched. The message has the last lines of output."""


class HookFailed(CutoverError):
    """A hook has failed, or did not end in time."""


class LockLost(CutoverError):
    """This execution does not hold the pair's lock any more; this step did nothing."""


class CommandUnavailable(CutoverError):
    """Systems Manager or a hook's function did not answer; the same step may be tried again."""


class EC2Refused(CutoverError):
    """EC2 refused a call, with this error code, and trying again would not help."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class EC2Throttled(CutoverError):
    """EC2 throttles these requests. This is a queue and not a failure, so the same step is tried again for minutes."""


class EC2Unavailable(CutoverError):
    """EC2 failed or did not answer; the same step may be tried again."""


class RecordUnavailable(CutoverError):
    """DynamoDB failed, refused or did not answer; the same step may be tried again."""


class RollbackFailed(CutoverError):
    """After the rollback the pair is not sound as planned; a person must act."""
