"""Why a cutover is refused, and a pair is not ready: each message in full, as an operator reads it."""

from dataclasses import replace

import pytest

from domain.errors import PreflightFailed, Redriven
from domain.pair import NOT_SHOWN, Address, Picture
from domain.plan import Plan, plan, refuse_redriven
from domain.request import Request
from tests.unit.example_pair import STRANGER, TAO, WEB, address
from tests.unit.test_fitness import (
    CUT_OVER,
    OTHER_TEAM,
    REPAIR,
    dual_stack,
    instance,
    interface,
    picture,
    refusal,
    with_tao_on,
)

ELSEWHERE = replace(interface(TAO), border_group="us-east-1-bos-1")
OF_REGION = replace(CUT_OVER.production, border_group="us-east-1")
PRODUCTION, STAGING = "The production address 198.51.100.1 (eipalloc-0aaaaaaa)", "the staging address 198.51.100.2"


@pytest.mark.parametrize(
    ("plan", "picture", "message"),
    [
        (
            CUT_OVER,
            picture(tao=instance(state=NOT_SHOWN)),
            "tao (i-0bbbbbbbb) should become live, but is not shown by EC2 (it was terminated, or its id is wrong), "
            "not running. Nothing was changed. Replace it: docs/replacing-a-server.md says how.",
        ),
        (
            CUT_OVER,
            picture(tao=instance()),
            "tao (i-0bbbbbbbb) has 0 network interfaces (none). Without networkInterfaces in cdk.json, a server must "
            "have exactly one. Nothing was changed. Configure networkInterfaces and deploy.",
        ),
        (
            with_tao_on("eni-2"),
            picture(),
            "tao (i-0bbbbbbbb) does not have the network interface eni-2, which cdk.json names; attached: eni-of-tao. "
            "Nothing was changed. Attach it, or correct networkInterfaces and deploy.",
        ),
        (
            REPAIR,
            picture(tao=instance(interface(TAO, **OTHER_TEAM))),
            "tao (i-0bbbbbbbb) holds the Elastic IP address 203.0.113.7 on its private address 10.0.0.20. It does not "
            "belong to pair web, and an address of the pair would displace it. Nothing was changed. Find out who owns "
            "it. Move it to another private address, or disassociate it. Then start again.\n"
            "aws ec2 disassociate-address --association-id eipassoc-7",
        ),
        (
            replace(CUT_OVER, production=OF_REGION, staging=replace(CUT_OVER.staging, border_group="us-east-1-bos-1")),
            picture(),
            f"{PRODUCTION} is in the network border group us-east-1, and {STAGING} (eipalloc-0bbbbbbb) in "
            "us-east-1-bos-1, so they cannot change places. Nothing was changed. Allocate an address in the border "
            "group of both servers, put it into cdk.json and deploy.",
        ),
        (
            replace(CUT_OVER, production=OF_REGION),
            picture(tao=instance(ELSEWHERE)),
            "tao (i-0bbbbbbbb) is in the network border group us-east-1-bos-1, but the addresses of pair web are in "
            "us-east-1, so it cannot hold them. Nothing was changed. Use two servers in the border group of the "
            "addresses.",
        ),
        (
            CUT_OVER,
            dual_stack(),
            "The network interface eni-of-tao of tao (i-0bbbbbbbb) has the public dual-stack DNS name "
            f"i-0b.us-east-1.ip.aws, and {STAGING} (eipalloc-0bbbbbbb) is its only public IPv4 address, so EC2 refuses "
            "to disassociate it. Nothing was changed. Give the interface another kind of name. Then start again.\n"
            "aws ec2 modify-public-ip-dns-name-options --network-interface-id eni-of-tao "
            "--hostname-type public-ipv4-dns-name",
        ),
        (
            CUT_OVER,
            picture(offered_to={WEB.production: "210987654321"}),
            f"{PRODUCTION} is offered to the account 210987654321, which may accept the transfer at any moment. "
            "Nothing was changed. Withdraw the offer:\n"
            "aws ec2 disable-address-transfer --allocation-id eipalloc-0aaaaaaa",
        ),
    ],
)
def test_a_server_or_an_address_that_is_not_fit(plan: Plan, picture: Picture, message: str) -> None:
    assert refusal(plan, picture) == message


@pytest.mark.parametrize(
    ("staging", "message"),
    [
        (
            replace(address("staging", TAO), service_managed="nlb"),
            "The staging address 198.51.100.2 (eipalloc-0bbbbbbb) is managed by the AWS service nlb, which owns its "
            "association. Nothing was changed. Configure an address of your own for pair web.",
        ),
        (
            address("staging", STRANGER),
            "The staging address 198.51.100.2 (eipalloc-0bbbbbbb) is on eni-of-stranger of i-0cccccccc, which is not "
            "in the pair web (bittybot and tao). Nothing was changed. Correct the pair in cdk.json and deploy, or move "
            "the address to tao:\n",
        ),
    ],
)
def test_an_address_that_is_not_the_pairs_to_move(staging: Address, message: str) -> None:
    with pytest.raises(PreflightFailed) as refused:
        plan(Request(WEB), CUT_OVER.production, staging)
    assert str(refused.value).partition("aws ")[0] == message


def test_an_execution_that_was_redriven() -> None:
    with pytest.raises(Redriven) as refused:
        refuse_redriven(redriven=True)
    assert str(refused.value) == (
        "This execution had ended and was redriven. Another execution may hold the pair's lock by now, so this one "
        "changes nothing more, and leaves the lock to the repair. Its earlier changes are still in place. "
        "Start a new execution: it makes a new plan."
    )
