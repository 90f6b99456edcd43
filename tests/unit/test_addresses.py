"""The calls for EC2's addresses: every change describes before and after, and undoes nothing that someone else did."""

from dataclasses import replace
from functools import partial

import pytest

from aws.addresses import PAUSES, Addresses
from domain.errors import AddressMoved, EC2Refused, EC2Unavailable, MovedMeanwhile, PreflightFailed
from domain.pair import Address, AddressName, Place
from domain.plan import plan
from domain.request import Request
from tests.unit.ec2_account import Ec2Account

FIRST_AND_LATER_TRIES = pytest.mark.parametrize(
    ("first_try", "error"), [(True, AddressMoved), (False, MovedMeanwhile)], ids=["first try", "later try"]
)


def door(ec2: Ec2Account) -> Addresses:
    return Addresses(ec2.pair, ec2.client, sleep=ec2.slept.append)


def cut_over(ec2: Ec2Account, *, first_try: bool = True) -> tuple[Address, bool]:
    """Moves production from bittybot to tao, which holds no address then."""
    if ec2.holder("staging") == "tao":
        ec2.take_off("staging")
    move, old = door(ec2).move_production, ec2.described("production").get("AssociationId")
    return move(ec2.place(ec2.tao), coming_from=Place(ec2.bittybot), old=old, first_try=first_try)


def repair(ec2: Ec2Account, *, first_try: bool = True) -> tuple[Address, bool]:
    """Puts staging, which is on no server, on tao."""
    place = ec2.place(ec2.tao)
    return door(ec2).move_staging(place, coming_from=None, production_on=ec2.place(ec2.bittybot), first_try=first_try)


def take_off(ec2: Ec2Account, *, first_try: bool = True) -> tuple[Address, bool]:
    live, idle = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    return door(ec2).disassociate_staging(ec2.association_id, idle, live=live, first_try=first_try)


# Looking.


def test_one_description_finds_both_addresses_and_their_places(ec2: Ec2Account) -> None:
    production, staging = looks = door(ec2).look()
    assert [(each.name, each.allocation_id, each.public_ip, each.server) for each in looks] == [
        ("production", ec2.pair.production, "198.51.100.1", "bittybot"),
        ("staging", ec2.pair.staging, "198.51.100.2", "tao"),
    ]
    assert staging.stands_at(ec2.place(ec2.tao))
    assert production.stands_at(ec2.place(ec2.bittybot))
    assert not production.stands_at(ec2.place(ec2.bittybot, primary=False))
    assert ec2.calls == ["DescribeAddresses"]


def test_an_address_on_no_server_has_only_its_own_ids(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    _, staging = door(ec2).look()
    assert replace(staging, border_group=None) == Address("staging", ec2.pair.staging, "198.51.100.2")
    assert not staging.is_associated
    assert f"{staging} is {staging.place}" == f"the staging address 198.51.100.2 ({ec2.pair.staging}) is on no server"


def test_the_aws_service_and_the_border_group_of_an_address_are_read(ec2: Ec2Account) -> None:
    ec2.describe_more("production", ServiceManaged="nlb", NetworkBorderGroup="us-east-1-bos-1")
    production, staging = door(ec2).look()
    assert (production.service_managed, production.border_group) == ("nlb", "us-east-1-bos-1")
    assert staging.service_managed is None


def test_a_description_of_an_address_that_does_not_exist_is_refused(ec2: Ec2Account) -> None:
    ec2.fail("DescribeAddresses", "InvalidAllocationID.NotFound")
    with pytest.raises(EC2Refused, match=f"DescribeAddresses of {ec2.pair.production} and .* failed with"):
        door(ec2).look()


# Moving production.


def test_production_is_moved_to_the_private_address_of_the_place(ec2: Ec2Account) -> None:
    place = ec2.place(ec2.tao, primary=False)
    address, changed = door(ec2).move_production(
        place, coming_from=Place(ec2.bittybot), old=ec2.production_association, first_try=True
    )
    assert changed
    assert address.stands_at(place)
    where = {"InstanceId": ec2.tao.instance_id, "PrivateIpAddress": place.private_ip}
    asked = {"AllocationId": ec2.pair.production, "AllowReassociation": True, **where}
    assert ec2.parameters["AssociateAddress"] == asked
    assert ec2.holders == ("tao", "tao"), "staging is on another private address, and stays there"


@FIRST_AND_LATER_TRIES
def test_production_is_not_changed_if_it_is_already_there_or_if_someone_else_moved_it(
    ec2: Ec2Account, first_try: bool, error: type[Exception]
) -> None:
    place = ec2.place(ec2.bittybot)
    address, changed = door(ec2).move_production(
        place, coming_from=Place(ec2.tao), old=ec2.production_association, first_try=first_try
    )
    assert (address.server, changed) == ("bittybot", False)
    ec2.move("production", ec2.stranger)
    with pytest.raises(error, match=rf"is on eni-\w+ of {ec2.stranger}, which is not in the pair; the plan expects"):
        cut_over(ec2, first_try=first_try)
    assert ec2.changes == []


@FIRST_AND_LATER_TRIES
def test_production_that_a_rollback_has_put_back_stays_there_if_a_lost_try_starts_late(
    ec2: Ec2Account, first_try: bool, error: type[Exception]
) -> None:
    ec2.take_off("staging")
    lost = {"coming_from": Place(ec2.bittybot), "first_try": first_try, "old": ec2.production_association}
    ec2.move("production", ec2.tao.instance_id)
    ec2.move("production", ec2.bittybot.instance_id)
    with pytest.raises(error, match=f"is on bittybot .*; the plan expects it on bittybot .*, by {lost['old']}"):
        door(ec2).move_production(ec2.place(ec2.tao), **lost)  # type: ignore[arg-type]
    assert ec2.changes == []


def test_a_first_try_that_ec2_shows_an_earlier_state_changes_nothing_and_the_next_one_does(ec2: Ec2Account) -> None:
    """That someone else moved an address is said only if the descriptions of some 10 s show it."""
    ec2.take_off("staging")
    repair(ec2)
    ec2.association_id = ec2.described("staging")["AssociationId"]
    ec2.stale, ec2.slept = 2, []
    with pytest.raises(EC2Unavailable, match=r"has shown .* the staging address .* on no server, and shows the plan"):
        take_off(ec2)
    assert ec2.changes == ["AssociateAddress"]
    assert take_off(ec2, first_try=False)[1]
    ec2.slept = []
    ec2.move("production", ec2.stranger)
    with pytest.raises(AddressMoved, match="Someone else moved it"):
        cut_over(ec2)
    assert sum(ec2.slept) == pytest.approx(10, abs=1)


def test_a_later_try_that_ec2_shows_an_earlier_state_changes_what_is_planned(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    cut_over(ec2)
    live, beside = ec2.place(ec2.tao), ec2.place(ec2.bittybot)
    ec2.stale = 3
    staging = door(ec2).move_staging(beside, coming_from=None, production_on=live, first_try=False)[0]
    assert staging.server == "bittybot"
    assert ec2.holders == ("tao", "bittybot")


def test_an_address_that_was_there_before_the_last_cutover_is_moved_there_by_the_next_try(ec2: Ec2Account) -> None:
    """A rollback just after a cutover: what EC2 showed some seconds ago is what the rollback leads to. A first try that
    sees an address leave the place where it goes may also be late, and its execution has rolled back."""
    live, idle = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    ec2.take_off("staging")
    ec2.stale = len(PAUSES)
    move = partial(door(ec2).move_staging, idle, coming_from=None, production_on=live)
    with pytest.raises(EC2Unavailable, match=r"has shown .* the staging address .* on tao .*, and shows the plan now"):
        move(first_try=True)
    assert move(first_try=False)[1]
    assert ec2.holders == ("bittybot", "tao")
    ec2.take_off("staging")
    ec2.move("production", ec2.tao.instance_id)
    ec2.stale = len(PAUSES)
    old = ec2.described("production")["AssociationId"]
    move_back = partial(door(ec2).move_production, live, coming_from=Place(ec2.tao), old=old)
    with pytest.raises(EC2Unavailable, match=r"has shown the production address .* on bittybot .*, and shows the plan"):
        move_back(first_try=True)
    assert move_back(first_try=False)[1]
    assert (ec2.holder("production"), ec2.holder("staging")) == ("bittybot", None)


def test_a_later_try_does_not_believe_one_description_that_nothing_is_left_to_do(ec2: Ec2Account) -> None:
    """Just after a cutover, it may show production where a rollback is about to put it."""
    ec2.take_off("staging")
    ec2.move("production", ec2.tao.instance_id)
    ec2.stale = 1
    old = ec2.described("production")["AssociationId"]
    _, changed = door(ec2).move_production(
        ec2.place(ec2.bittybot), coming_from=Place(ec2.tao), old=old, first_try=False
    )
    assert (changed, ec2.holder("production")) == (True, "bittybot")


def test_a_change_counts_when_a_description_shows_it(ec2: Ec2Account) -> None:
    ec2.before("AssociateAddress", lambda: setattr(ec2, "stale", 3))
    address, changed = cut_over(ec2)
    assert (address.server, changed) == ("tao", True)
    assert len(ec2.slept) == 3
    assert ec2.changes == ["AssociateAddress"]


def test_a_change_that_shows_after_the_last_pause_counts(ec2: Ec2Account) -> None:
    ec2.before("AssociateAddress", lambda: setattr(ec2, "stale", len(PAUSES)))
    assert cut_over(ec2)[0].server == "tao"
    assert ec2.slept == list(PAUSES)


def test_a_change_that_never_shows_may_be_tried_again(ec2: Ec2Account) -> None:
    ec2.before("AssociateAddress", lambda: setattr(ec2, "stale", 1000))
    with pytest.raises(EC2Unavailable, match=r"accepted the association of .* has not shown it within"):
        cut_over(ec2)
    assert sum(ec2.slept) == pytest.approx(10, abs=1)


def test_the_next_try_finds_a_change_whose_answer_was_lost(ec2: Ec2Account) -> None:
    ec2.lose_answer("AssociateAddress")
    with pytest.raises(EC2Unavailable, match="got no answer"):
        cut_over(ec2)
    address, changed = cut_over(ec2, first_try=False)
    assert (address.server, changed) == ("tao", False)
    assert ec2.changes == ["AssociateAddress"]


# Production on no server.


def from_no_server(ec2: Ec2Account, *, first_try: bool = True) -> tuple[Address, bool]:
    return door(ec2).move_production(ec2.place(ec2.tao, primary=False), coming_from=None, old=None, first_try=first_try)


def test_production_on_no_server_is_associated_without_reassociation(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    address, changed = from_no_server(ec2)
    assert changed
    assert address.stands_at(ec2.place(ec2.tao, primary=False))
    assert ec2.parameters["AssociateAddress"]["AllowReassociation"] is False
    assert from_no_server(ec2, first_try=False)[1] is False
    assert ec2.changes == ["AssociateAddress"]


@FIRST_AND_LATER_TRIES
@pytest.mark.parametrize("stale", [False, True], ids=["described", "not described"])
@pytest.mark.parametrize("moved_to", ["bittybot", "stranger"])
def test_production_that_someone_associates_meanwhile_stays_there(
    ec2: Ec2Account, first_try: bool, error: type[Exception], stale: bool, moved_to: str
) -> None:
    ec2.take_off("production")
    instance_id = ec2.bittybot.instance_id if moved_to == "bittybot" else ec2.stranger
    if stale:
        ec2.before("AssociateAddress", lambda: ec2.move("production", instance_id))
    else:
        ec2.move("production", instance_id)
    with pytest.raises(error, match=r"production address .* is on .*; the plan expects it on no server"):
        from_no_server(ec2, first_try=first_try)
    assert ec2.described("production")["InstanceId"] == instance_id
    assert ec2.changes == (["AssociateAddress"] if stale else [])


def test_a_call_from_no_server_that_finds_its_own_effect_has_succeeded(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    ec2.lose_answer("AssociateAddress", "Resource.AlreadyAssociated")
    address, changed = from_no_server(ec2)
    assert (address.server, changed) == ("tao", True)


def test_staging_is_put_on_the_server_that_is_checked_while_production_is_on_no_server(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    ec2.move("staging", ec2.bittybot.instance_id)
    move = partial(door(ec2).move_staging, coming_from=Place(ec2.bittybot), production_on=None, first_try=True)
    address, changed = move(ec2.place(ec2.tao))
    assert (address.server, changed) == ("tao", True)
    ec2.move("production", ec2.bittybot.instance_id)
    with pytest.raises(
        AddressMoved, match=r"production address .* is on bittybot .*; the plan expects it on no server"
    ):
        move(ec2.place(ec2.tao))
    ec2.take_off("production")
    ec2.move("staging", ec2.bittybot.instance_id)
    ec2.before("AssociateAddress", lambda: ec2.move("production", ec2.stranger))
    with pytest.raises(MovedMeanwhile, match=rf"production address .* of {ec2.stranger}"):
        move(ec2.place(ec2.tao))


def test_staging_is_disassociated_while_production_is_on_no_server(ec2: Ec2Account) -> None:
    ends = ec2.association_id, ec2.place(ec2.tao)
    take_off_staging = partial(door(ec2).disassociate_staging, *ends, live=None, first_try=True)
    with pytest.raises(
        AddressMoved, match=r"production address .* is on bittybot .*; the plan expects it on no server"
    ):
        take_off_staging()
    assert ec2.changes == []
    ec2.take_off("production")
    address, changed = take_off_staging()
    assert (address.is_associated, changed) == (False, True)


# Moving staging.


def test_staging_is_moved_from_the_server_that_it_is_expected_on(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    secondary = ec2.place(ec2.bittybot, primary=False)
    door(ec2).restore("staging", secondary, production_on=ec2.place(ec2.bittybot))
    move = partial(
        door(ec2).move_staging, coming_from=Place(ec2.bittybot), production_on=ec2.place(ec2.bittybot), first_try=True
    )
    address, changed = move(ec2.place(ec2.tao))
    assert (address.server, changed) == ("tao", True)
    assert ec2.parameters["AssociateAddress"]["AllowReassociation"] is True
    with pytest.raises(AddressMoved, match="is on tao"):
        move(secondary)


def test_staging_on_no_server_is_associated_without_reassociation(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    address, changed = repair(ec2)
    assert (address.server, changed) == ("tao", True)
    assert ec2.parameters["AssociateAddress"]["AllowReassociation"] is False
    assert repair(ec2)[1] is False
    assert ec2.changes == ["AssociateAddress"]


@FIRST_AND_LATER_TRIES
@pytest.mark.parametrize("stale", [False, True])
def test_staging_that_someone_else_moved_stays_there_even_if_no_description_showed_it(
    ec2: Ec2Account, first_try: bool, error: type[Exception], stale: bool
) -> None:
    ec2.take_off("staging")
    if stale:
        ec2.before("AssociateAddress", lambda: ec2.move("staging", ec2.stranger))
    else:
        ec2.move("staging", ec2.stranger)
    with pytest.raises(error, match=f"staging .* of {ec2.stranger}, which is not in .* plan expects it on no"):
        repair(ec2, first_try=first_try)
    assert ec2.holder("staging") == ec2.stranger
    assert ec2.changes == (["AssociateAddress"] if stale else []), "EC2 refuses what a look does not show"


def test_staging_that_ec2_calls_associated_against_the_description_may_be_retried(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    ec2.fail("AssociateAddress", "Resource.AlreadyAssociated")
    with pytest.raises(EC2Unavailable, match=r"DescribeAddresses shows the staging address .* on no server"):
        repair(ec2)
    ec2.fail("AssociateAddress", "Resource.AlreadyAssociated")
    for shows in (None, None, ec2.tao.instance_id):
        ec2.before("DescribeAddresses", partial(ec2.move, "staging", shows) if shows else lambda: None)
    with pytest.raises(EC2Unavailable, match=r"DescribeAddresses shows the staging address .* on tao"):
        repair(ec2)


def test_a_call_that_finds_its_own_effect_has_succeeded(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    ec2.lose_answer("AssociateAddress", "Resource.AlreadyAssociated")
    address, changed = repair(ec2)
    assert (address.server, changed) == ("tao", True)


@FIRST_AND_LATER_TRIES
def test_staging_is_not_moved_if_production_moved_and_production_that_moves_meanwhile_is_reported(
    ec2: Ec2Account, first_try: bool, error: type[Exception]
) -> None:
    ec2.take_off("staging")
    ec2.before("AssociateAddress", lambda: ec2.move("production", ec2.stranger))
    with pytest.raises(MovedMeanwhile, match="The production address"):
        repair(ec2, first_try=first_try)
    ec2.take_off("staging")
    with pytest.raises(error, match="The production address"):
        repair(ec2, first_try=first_try)
    assert ec2.changes == ["AssociateAddress"]


def test_staging_is_never_put_on_the_private_address_of_production(ec2: Ec2Account) -> None:
    live = ec2.place(ec2.bittybot)
    with pytest.raises(EC2Unavailable, match=r"is on bittybot; associating the staging address .* would displace it"):
        door(ec2).move_staging(live, coming_from=Place(ec2.tao), production_on=ec2.place(ec2.bittybot), first_try=True)
    with pytest.raises(EC2Unavailable, match="would displace it"):
        door(ec2).restore("staging", live, production_on=ec2.place(ec2.bittybot))
    assert ec2.changes == []


# Restoring.


def test_production_is_restored_from_no_server_and_even_if_it_seems_to_be_there(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    door(ec2).restore("production", ec2.place(ec2.bittybot), production_on=ec2.place(ec2.bittybot))
    assert ec2.holder("production") == "bittybot"
    cut_over(ec2)
    ec2.stale = 1  # the next look shows production on bittybot
    assert door(ec2).restore("production", ec2.place(ec2.bittybot), production_on=ec2.place(ec2.bittybot))[1]
    assert ec2.holder("production") == "bittybot"


def test_production_that_someone_else_put_on_a_third_instance_stays_there(ec2: Ec2Account) -> None:
    ec2.move("production", ec2.stranger)
    with pytest.raises(MovedMeanwhile, match=f"of {ec2.stranger}, which is not in the pair. .* it stays there"):
        door(ec2).restore("production", ec2.place(ec2.bittybot), production_on=ec2.place(ec2.bittybot))
    assert ec2.changes == []


@pytest.mark.parametrize("staging_on", ["stranger", "no server", "bittybot's other private address"])
def test_staging_is_restored_from_anywhere(ec2: Ec2Account, staging_on: str) -> None:
    if staging_on == "stranger":
        ec2.move("staging", ec2.stranger)
    elif staging_on == "no server":
        ec2.take_off("staging")
    else:
        door(ec2).restore("staging", ec2.place(ec2.bittybot, primary=False), production_on=ec2.place(ec2.bittybot))
    idle = ec2.place(ec2.tao, primary=False)
    address, changed = door(ec2).restore("staging", idle, production_on=ec2.place(ec2.bittybot))
    assert changed
    assert address.stands_at(idle)
    assert ec2.holders == ("bittybot", "tao")


# Taking staging off.


def test_staging_is_taken_off_once(ec2: Ec2Account) -> None:
    address, changed = take_off(ec2)
    assert (address.is_associated, changed) == (False, True)
    assert take_off(ec2, first_try=False)[1] is False
    assert ec2.changes == ["DisassociateAddress"]


@pytest.mark.parametrize("code", ["InvalidAssociationID.NotFound", "UnauthorizedOperation"])
def test_a_missing_association_counts_as_ended(ec2: Ec2Account, code: str) -> None:
    ec2.lose_answer("DisassociateAddress", code)
    assert not take_off(ec2)[0].is_associated
    ec2.reset()
    ec2.fail("DisassociateAddress", code)
    with pytest.raises(EC2Refused, match=f"DisassociateAddress of the staging address .* failed with {code}"):
        take_off(ec2)


@FIRST_AND_LATER_TRIES
def test_an_association_that_was_made_since_is_not_ended(
    ec2: Ec2Account, first_try: bool, error: type[Exception]
) -> None:
    """A call that was lost starts after the rollback, which has put staging back."""
    ec2.take_off("staging")
    ec2.move("staging", ec2.tao.instance_id)
    with pytest.raises(error):
        take_off(ec2, first_try=first_try)
    assert ec2.holder("staging") == "tao"


def test_an_association_that_is_still_shown_after_an_earlier_try_ended_it_may_be_retried(ec2: Ec2Account) -> None:
    ec2.fail("DisassociateAddress", "InvalidAssociationID.NotFound")
    with pytest.raises(EC2Unavailable, match=r"InvalidAssociationID\.NotFound.* still shows the staging .* on tao"):
        take_off(ec2, first_try=False)


@pytest.mark.parametrize("moved", ["production", "staging"])
def test_staging_stays_where_it_is_if_either_address_moved(ec2: Ec2Account, moved: str) -> None:
    ec2.move(moved, ec2.stranger)
    with pytest.raises(AddressMoved, match=rf"The {moved} address .* of {ec2.stranger}"):
        take_off(ec2)
    assert ec2.changes == []


def test_staging_that_someone_moved_or_disassociated_meanwhile_is_reported_as_moved(ec2: Ec2Account) -> None:
    ec2.move("staging", ec2.stranger)
    with pytest.raises(MovedMeanwhile, match=rf"The staging address .* of {ec2.stranger}"):
        take_off(ec2, first_try=False)
    ec2.take_off("staging")
    with pytest.raises(AddressMoved, match=r"is on no server; the plan expects it on tao \(i-"):
        take_off(ec2)
    assert ec2.changes == []


# Servers whose network interfaces are configured.


def test_an_address_is_put_on_the_configured_interface(ec2: Ec2Account) -> None:
    bittybot, tao = (replace(each, network_interface_id=ec2.interface_of(each)) for each in ec2.pair.servers)
    on_interfaces = Addresses(replace(ec2.pair, servers=(bittybot, tao)), ec2.client)
    ec2.take_off("staging")
    address, _ = on_interfaces.move_production(
        Place(tao), coming_from=Place(bittybot), old=ec2.production_association, first_try=True
    )
    assert address.server == "tao"
    assert ec2.parameters["AssociateAddress"]["NetworkInterfaceId"] == ec2.interface_of(ec2.tao)
    assert "InstanceId" not in ec2.parameters["AssociateAddress"]
    on_interfaces.rehearse_associate("staging", Place(bittybot))
    assert ec2.parameters["AssociateAddress"]["NetworkInterfaceId"] == ec2.interface_of(ec2.bittybot)


def test_an_address_on_another_interface_of_the_right_instance_is_on_no_server_of_the_pair(ec2: Ec2Account) -> None:
    tao = replace(ec2.tao, network_interface_id="eni-0dddddddd")
    pair = replace(ec2.pair, servers=(ec2.bittybot, tao))
    with pytest.raises(PreflightFailed) as refused:
        plan(Request(pair), *Addresses(pair, ec2.client).look())
    assert f"{ec2.interface_of(ec2.tao)} of {tao.instance_id}, which is not in the pair web" in str(refused.value)
    assert "--network-interface-id eni-0dddddddd" in str(refused.value)


# The rehearsals.


@pytest.mark.parametrize("name", ["production", "staging"])
def test_a_rehearsal_has_the_parameters_of_the_move_and_changes_nothing(ec2: Ec2Account, name: AddressName) -> None:
    place = ec2.place(ec2.bittybot, primary=False)
    door(ec2).rehearse_associate(name, place)
    where = {"InstanceId": ec2.bittybot.instance_id, "PrivateIpAddress": place.private_ip}
    allocation_id = ec2.pair.production if name == "production" else ec2.pair.staging
    asked = {"AllocationId": allocation_id, "AllowReassociation": True, "DryRun": True, **where}
    assert ec2.parameters["AssociateAddress"] == asked
    door(ec2).rehearse_disassociate(ec2.described("staging")["AssociationId"])
    assert ec2.calls == ["AssociateAddress (dry run)", "DisassociateAddress (dry run)"]
    assert ec2.holders == ("bittybot", "tao")


def test_a_missing_permission_is_a_failed_preflight(ec2: Ec2Account) -> None:
    ec2.fail("AssociateAddress", "UnauthorizedOperation")
    with pytest.raises(PreflightFailed, match=f"AssociateAddress of {ec2.pair.production} with tao .* failed with"):
        door(ec2).rehearse_associate("production", ec2.place(ec2.tao))
    ec2.fail("DisassociateAddress", "UnauthorizedOperation")
    with pytest.raises(PreflightFailed, match=r"DisassociateAddress of .* \(eipassoc-1\) failed with"):
        door(ec2).rehearse_disassociate("eipassoc-1")
    assert len(ec2.calls) == 2, "a rehearsal is one call"
