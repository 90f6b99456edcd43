"""`commands`: the `aws ec2` commands that make either server live, from each state of the pair. They need EC2 only."""

from client.account import Account
from client.errors import Problem
from client.result import ROLES, in_words
from client.text import JsonObject, Rows
from domain.commands import foreign_address_at, place_on, ways_to
from domain.pair import Address, Pair
from domain.plan import as_lines

QUERY = "--query 'Addresses[].[AllocationId,InstanceId]' --output text"


def document(account: Account, pair: Pair) -> JsonObject:
    """The addresses as they are now, and the commands. Raises Problem if an address does not exist."""
    shown, ids = account.addresses([pair]), (pair.production, pair.staging)
    if missing := [each for each in ids if each not in shown]:
        raise Problem(f"{' and '.join(missing)} is not an address of this account and Region. Correct cdk.json.")
    production, staging = addresses = [shown[each] for each in ids]
    instances = account.instances(server.instance_id for server in pair.servers)
    one, other = (place_on(each, addresses, instances.get(each.instance_id, {})) for each in pair.servers)
    region = f"--region {account.region}"
    return {
        "pair": pair.name,
        "region": account.region,
        **{each.name: each.to_json() for each in addresses},
        "warnings": [
            f"{foreign} is at {place}, and a command to that place takes it away"
            for place in (one, other)
            if (foreign := foreign_address_at(place, addresses, instances.get(place.server.instance_id, {})))
        ],
        "check": f"aws ec2 describe-addresses --allocation-ids {pair.production} {pair.staging} {region} {QUERY}",
        "ways": [
            {"live": live.server.name, **vars(way), "commands": [f"{command} {region}" for command in way.commands]}
            for live, idle in ((one, other), (other, one))
            for way in ways_to(live, idle, production, staging)
        ],
    }


def rows(found: JsonObject) -> Rows:
    lines = [("pair", f"{found['pair']} in {found['region']}. Print this again after every change of a server")]
    addresses = [Address.from_json(role, found[role]) for role in ROLES]
    lines += [(each.name, f"{each.allocation_id}, {in_words(each)}") for each in addresses]
    lines += [("warning", each) for each in found["warnings"]]
    lines += [("check first", f"where both addresses are:\n{found['check']}")]
    for way in (way for way in found["ways"] if way["commands"]):
        on = [f"{role} is on {' or '.join(name or 'no server' for name in way[role])}" for role in ROLES]
        lines += [(f"{way['live']} live", f"if {' and '.join(on)}:{as_lines(way['commands'])}")]
    return lines
