"""The look at both addresses after a check, which may have taken minutes: does what is told still hold?"""

from aws.addresses import Addresses
from aws.calls import Ec2, Sleep
from domain.deployed_pairs import deployed_pairs
from domain.errors import EC2Refused, EC2Throttled, EC2Unavailable, MovedMeanwhile
from domain.pair import Address, Json, Server
from domain.plan import Standing

# A look may show what was before, for some 10 s; four looks of at most 5 s fit into what the function has left then.
PAUSES = (1, 3, 6, 0)


def last_look(standing: Standing, ec2: Ec2, *, sleep: Sleep) -> Json:
    """`{"production", "staging", "moved"}`: the addresses as they stand now, and what someone else moved, in words.

    An address on its server counts, whatever its private address. Raises MovedMeanwhile if production is elsewhere. A
    look that EC2 refuses is in `moved`, alone: the server is well, and nothing is gained by checking it once more.
    """
    pair = deployed_pairs()[standing.pair]
    servers = [pair.place(place.name).server for place in (standing.production, standing.staging)]
    seen, problem = None, ""
    for pause in PAUSES:
        try:
            seen = Addresses(pair, ec2).look()
        except (EC2Refused, EC2Throttled, EC2Unavailable) as error:
            problem = str(error)
        else:
            if not any(map(_moved, seen, servers)):
                break
        sleep(pause)
    if seen is None:
        return {"moved": [f"Where both addresses stand after the check could not be seen. {problem}"]}
    production, staging = map(_moved, seen, servers)
    if production or (staging and standing.strict):
        raise MovedMeanwhile(" ".join(filter(None, (production, staging))))
    return {"production": seen[0].to_json(), "staging": seen[1].to_json(), "moved": [staging] if staging else []}


def _moved(address: Address, server: Server) -> str | None:
    if address.server == server.name:
        return None
    return f"EC2 shows {address} {address.place}, after it was seen on {server}. Someone else moved it since."
