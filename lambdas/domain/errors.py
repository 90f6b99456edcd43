"""The errors of a cutover. Lambda reports the class name to the state, whose `Retry` and `Catch` name it
(`tests/stacks/test_contract.py` compares both).

A message is read by a person, often at night: what was found, what was expected, what is true now, what to do.
"""


class CutoverError(Exception):
    """What every error of ours is; never raised itself."""


class InvalidRequest(CutoverError):
    """The input is not one of this workflow's; nothing was read but the configuration."""


class PreflightFailed(CutoverError):
    """A permission, an instance state or an address is not fit; production was not touched."""


class StagingUnhealthy(CutoverError):
    """The idle server failed its health check through the staging address; production was not touched."""


class ProductionUnhealthy(CutoverError):
    """The server that holds the production address failed its health check through it."""


class AddressMoved(CutoverError):
    """An address stands elsewhere than planned: someone else moved it; this step changed nothing."""


class MovedMeanwhile(CutoverError):
    """Someone else moved an address when this step had changed one, or may have; the rollback looks what is so."""


class Redriven(CutoverError):
    """The execution was redriven after it had ended, so it may no longer hold the lock; this step changed nothing."""


class EC2Refused(CutoverError):
    """EC2 refused a call, with this error code, and asking again would not help."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class EC2Throttled(CutoverError):
    """EC2 takes no more of these requests for now: no fault but a queue, so the same step is tried again patiently."""


class EC2Unavailable(CutoverError):
    """EC2 failed or did not answer; the same step may be tried again."""


class RollbackFailed(CutoverError):
    """After the rollback the pair is not sound as planned; a person must act."""
