"""How much of a cutover is EC2's own time, from the record of the calls to EC2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.fault_layer import Call


def production_share(calls: Sequence[Call], production: str) -> float:
    """The time from the first change of the production address to the end of the last, over that of one such call.

    1.0 is the limit: one call. Raises ValueError if production was not changed.
    """
    felt = sorted((call for call in calls if call.allocation_id == production), key=lambda call: call.began)
    if not felt:
        raise ValueError(f"no call changed {production}")
    one = felt[0].ended - felt[0].began
    return (max(call.ended for call in felt) - felt[0].began) / one


@dataclass(frozen=True)
class Dark:
    """The time during which staging was on no server: in all, that of the EC2 calls within it, and how many."""

    seconds: float
    seconds_of_calls: float
    calls: int

    @property
    def share(self) -> float:
        return self.seconds / self.seconds_of_calls


def staging_dark(calls: Sequence[Call], staging: str) -> Dark:
    """From the end of the call that disassociated staging to the end of the one that associated it again.

    A call takes effect at its end, as the local EC2 waits first. Raises ValueError if staging was not changed twice.
    """
    changes = sorted((call for call in calls if call.allocation_id == staging), key=lambda call: call.ended)
    if [call.action for call in changes] != ["DisassociateAddress", "AssociateAddress"]:
        raise ValueError(f"{staging} was not disassociated and associated, but: {[call.action for call in changes]}")
    began, ended = (call.ended for call in changes)
    within = [call for call in calls if call.ended > began and call.began < ended]
    spent = sum(min(call.ended, ended) - max(call.began, began) for call in within)
    return Dark(ended - began, spent, len(within))
