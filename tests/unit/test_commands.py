"""The AWS CLI commands in messages."""

import pytest

from domain.commands import associate_command
from domain.pair import Place, Server
from tests.unit.example_pair import TAO, WEB, address

ON_INTERFACE = Server("tao", TAO.instance_id, "eni-0bbbbbbb")


@pytest.mark.parametrize(
    ("place", "options"),
    [
        (Place(TAO), f"--instance-id {TAO.instance_id}"),
        (Place(TAO, "10.0.0.21"), f"--instance-id {TAO.instance_id} --private-ip-address 10.0.0.21"),
        (Place(ON_INTERFACE), "--network-interface-id eni-0bbbbbbb"),
        (Place(ON_INTERFACE, "10.0.0.21"), "--network-interface-id eni-0bbbbbbb --private-ip-address 10.0.0.21"),
    ],
)
def test_a_command_names_the_configured_interface_and_the_private_address_of_the_place(
    place: Place, options: str
) -> None:
    assert associate_command(address("production", None), place) == (
        f"aws ec2 associate-address --allocation-id {WEB.production} {options} --allow-reassociation"
    )
