"""The share of EC2's own time in a cutover, from the record of the calls to EC2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.fault_layer import Call


def production_share(calls: Sequence[Call], production: str) -> float:
    """The time from the first to the last change of the production address, divided by the time of one such call.

    1.0 is the limit: one call. Raises ValueError if production was not changed.
    """
    changes = sorted((call for call in calls if call.allocation_id == production), key=lambda call: call.began)
    if not changes:
        raise ValueError(f"no call changed {production}")
    first_call = changes[0].ended - changes[0].began
    return (max(call.ended for call in changes) - changes[0].began) / first_call


@dataclass(frozen=True)
class Unassociated:
    """The time in which staging was on no server, the time of the EC2 calls within it, and their number."""

    seconds: float
    seconds_of_calls: float
    calls: int

    @property
    def share(self) -> float:
        return self.seconds / self.seconds_of_calls


def staging_unassociated(calls: Sequence[Call], staging: str) -> Unassociated:
    """From the end of the call that disassociated staging to the end of the call that associated it again.

    A call takes effect at its end: the local EC2 waits first. Raises ValueError if staging was not changed twice.
    """
    changes = sorted((call for call in calls if call.allocation_id == staging), key=lambda call: call.ended)
    if [call.action for call in changes] != ["DisassociateAddress", "AssociateAddress"]:
        raise ValueError(f"{staging} was not disassociated and associated, but: {[call.action for call in changes]}")
    began, ended = (call.ended for call in changes)
    within = [call for call in calls if call.ended > began and call.began < ended]
    spent = sum(min(call.ended, ended) - max(call.began, began) for call in within)
    return Unassociated(ended - began, spent, len(within))
