"""Describes both addresses after a check: the check may have taken minutes, and an address may have moved meanwhile."""

from collections.abc import Iterator

from aws.addresses import Addresses
from aws.calls import Ec2, Sleep
from domain.deployed_pairs import deployed_pairs
from domain.errors import EC2Refused, EC2Throttled, EC2Unavailable, MovedMeanwhile
from domain.pair import Address, Json, Pair
from domain.plan import Standing

# For some 10 s, EC2 may show the state before a change. Four calls of at most 5 s fit into the function's last seconds.
PAUSES = (1, 3, 6, 0)


def last_look(standing: Standing, ec2: Ec2, *, sleep: Sleep, failure: str = "") -> Json:
    """Returns `{"production", "staging", "moved"}`: the addresses as they are now, and what someone moved, in words. An
    address on its server counts as not moved, whatever its private address. Raises MovedMeanwhile if production is
    elsewhere; its message ends with `failure`, the check's. If EC2 does not answer, the result has only `moved`."""
    pair = deployed_pairs()[standing.pair]
    seen, problem = None, ""
    for pause in PAUSES:
        try:
            seen = Addresses(pair, ec2).look()
        except (EC2Refused, EC2Throttled, EC2Unavailable) as error:
            problem = str(error)
        else:
            if not any(_moved(pair, standing, *seen)):
                break
        sleep(pause)
    if seen is None:
        return {"moved": [f"The addresses could not be described after the check. {problem}"]}
    production, staging = _moved(pair, standing, *seen)
    if production or (staging and standing.strict):
        raise MovedMeanwhile(" ".join(filter(None, (production, staging, failure))))
    return {"production": seen[0].to_json(), "staging": seen[1].to_json(), "moved": [staging] if staging else []}


def _moved(pair: Pair, standing: Standing, *addresses: Address) -> Iterator[str | None]:
    """Unless it is `strict`, an address that is outside the pair as before has not moved: an earlier check said so."""
    for address, before in zip(addresses, (standing.production, standing.staging), strict=True):
        stays = address.server == before and (before or not address.is_associated or not standing.strict)
        was_on = pair.place(before).server if before else "no server"
        what = f"EC2 shows {address} {address.place}; before the check it was on {was_on}. Someone else moved it."
        yield None if stays else what
