"""An Elastic IP of someone else, which is in the way. It is released even after a run that was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.executions import Json, until
from tests.acceptance.pair_on_aws import SHOWN_SECONDS, TAG, PairOnAws

MADE_BY = "eip-cutover:acceptance"


@contextmanager
def third_address(pair: PairOnAws, server: str) -> Iterator[str]:
    """A third Elastic IP on this server, which has none. Yields its public address. Fails if someone moves it.

    Skips the test if the quota of Elastic IPs is used up.
    """
    ec2 = pair.client("ec2")
    try:
        id_ = ec2.allocate_address(Domain="vpc", TagSpecifications=[_tags(pair)])["AllocationId"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "AddressLimitExceeded":
            raise
        pytest.skip(f"there is no third Elastic IP: {error}")
    try:
        until(lambda: id_ in third_addresses(pair), f"EC2 shows {id_}", seconds=SHOWN_SECONDS)
        pair.progress.step(f"a third Elastic IP, {id_}, goes to {server}")
        ec2.associate_address(AllocationId=id_, InstanceId=pair.servers[server], AllowReassociation=False)
        shown = until(lambda: _on(pair, id_, server), f"EC2 shows {id_} on {server}", seconds=SHOWN_SECONDS)
        yield str(shown["PublicIp"])
        assert _on(pair, id_, server) == shown
    finally:
        release_third_addresses(pair)


def release_third_addresses(pair: PairOnAws) -> None:
    """Release what this suite has allocated for the pair, also in a run that was killed."""
    ec2 = pair.client("ec2")
    for id_, address in third_addresses(pair).items():
        pair.progress.step(f"{id_} is released")
        if association := address.get("AssociationId"):
            ec2.disassociate_address(AssociationId=association)
            until(partial(_is_free, pair, id_), f"EC2 shows {id_} on no server", seconds=SHOWN_SECONDS)
        ec2.release_address(AllocationId=id_)
    until(lambda: not third_addresses(pair), "EC2 shows no third Elastic IP", seconds=SHOWN_SECONDS)


def third_addresses(pair: PairOnAws) -> dict[str, Json]:
    """What this suite has allocated for the pair, by EC2, by allocation id."""
    of_pair = [{"Name": f"tag:{MADE_BY}", "Values": [_owner(pair)]}]
    return {each["AllocationId"]: each for each in pair.client("ec2").describe_addresses(Filters=of_pair)["Addresses"]}


def _on(pair: PairOnAws, id_: str, server: str) -> Json | None:
    address = third_addresses(pair).get(id_, {})
    return address if address.get("InstanceId") == pair.servers[server] else None


def _is_free(pair: PairOnAws, id_: str) -> bool:
    return "AssociationId" not in third_addresses(pair).get(id_, {})


def _owner(pair: PairOnAws) -> str:
    return f"{pair.stack} {pair.name}"


def _tags(pair: PairOnAws) -> Json:
    tags = {TAG: "true", MADE_BY: _owner(pair)}
    return {"ResourceType": "elastic-ip", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
