"""The decisions: the plan for each configuration, input and observation, and the refusals."""

from dataclasses import replace

import pytest

from domain.errors import InvalidRequest, PreflightFailed
from domain.pair import Server
from domain.plan import Refusal, commands_to_restore, plan
from domain.request import Request, read_request
from tests.unit.example_pair import BITTYBOT, STRANGER, TAO, WEB, address, place, planned

API = replace(WEB, name="api")


def associate(allocation_id: str, server: Server) -> str:
    return f"aws ec2 associate-address --allocation-id {allocation_id} --instance-id {server.instance_id}"


# Production on, staging on, asked for → the decision, and who is live once it is carried out.
@pytest.mark.parametrize(
    ("production", "staging", "asked", "decision", "live"),
    [
        (BITTYBOT, TAO, None, "CUT_OVER", TAO),
        (TAO, BITTYBOT, None, "CUT_OVER", BITTYBOT),
        (BITTYBOT, TAO, TAO, "CUT_OVER", TAO),
        (BITTYBOT, TAO, BITTYBOT, "ALREADY_LIVE", BITTYBOT),
        (BITTYBOT, None, TAO, "CUT_OVER", TAO),
        (BITTYBOT, None, BITTYBOT, "REPAIR", BITTYBOT),
        (TAO, None, TAO, "REPAIR", TAO),
        (BITTYBOT, BITTYBOT, TAO, "CUT_OVER", TAO),
        (BITTYBOT, BITTYBOT, BITTYBOT, "REPAIR", BITTYBOT),
    ],
)
def test_the_plan_makes_the_requested_server_live(
    production: Server, staging: Server | None, asked: Server | None, decision: str, live: Server
) -> None:
    result = planned(production=production, staging=staging, asked=asked)
    assert result.decision == decision
    assert (result.live.server, result.idle.server) == (production, WEB.other(production))
    assert (result.idle if result.decision == "CUT_OVER" else result.live).server == live
    assert result.to_json()["target"] == live.name


@pytest.mark.parametrize("staging", [None, BITTYBOT])
def test_in_an_unsound_pair_an_empty_input_is_refused_with_both_possible_inputs(staging: Server | None) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(staging=staging)
    for words in (
        "the production address 198.51.100.1 (eipalloc-0aaaaaaa) is on bittybot (i-0aaaaaaaa)",
        f"is {'on bittybot (i-0aaaaaaaa)' if staging else 'on no server'} instead of on tao",
        '{"pair": "web", "serverName": "bittybot"} to keep bittybot live',
        '{"pair": "web", "serverName": "tao"} to make tao live',
    ):
        assert words in str(refused.value)


def test_a_plan_says_why_and_its_steps_are_its_changes_in_their_order() -> None:
    assert planned().reason == (
        "the idle server was asked for, which is tao; production is on bittybot and staging is on tao (i-0bbbbbbbb)"
    )
    assert planned().steps == [
        "disassociate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) from tao",
        "associate the production address 198.51.100.1 (eipalloc-0aaaaaaa) with tao, in one move from bittybot",
        "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with bittybot",
    ]
    repair = "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with tao"
    assert planned(staging=None, asked=TAO).steps == [repair, *planned().steps]
    assert planned(staging=BITTYBOT, asked=BITTYBOT).steps == [repair]


def test_the_places_of_a_plan_are_the_private_addresses_of_the_addresses() -> None:
    second = plan(Request(WEB), address("production", BITTYBOT, "10.0.0.11"), address("staging", TAO, "10.0.0.21"))
    assert (second.live, second.idle) == (place(BITTYBOT, "10.0.0.11"), place(TAO, "10.0.0.21"))
    assert second.to_json()["privateIps"] == {"bittybot": "10.0.0.11", "tao": "10.0.0.21"}
    assert planned(staging=None, asked=TAO).idle.private_ip is None


@pytest.mark.parametrize("live_when_it_ended", [BITTYBOT, TAO])
def test_the_same_input_again_finishes_what_an_interrupted_execution_began(live_when_it_ended: Server) -> None:
    result = planned(production=live_when_it_ended, staging=None, interrupted=TAO)
    assert result.decision == ("CUT_OVER" if live_when_it_ended == BITTYBOT else "REPAIR")
    assert "an interrupted execution was making tao live" in result.reason


def test_a_record_of_a_server_that_is_no_longer_in_the_pair_is_ignored() -> None:
    assert planned(interrupted=STRANGER).reason.startswith("the idle server was asked for")
    with pytest.raises(PreflightFailed, match="there is no record of an interrupted execution"):
        planned(staging=None, interrupted=STRANGER)


@pytest.mark.parametrize(("asked", "choices"), [(None, (BITTYBOT, TAO)), (TAO, (TAO,))])
def test_production_on_no_server_is_refused_with_commands(asked: Server | None, choices: tuple[Server, ...]) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(production=None, asked=asked)
    message = str(refused.value)
    assert "production address 198.51.100.1 (eipalloc-0aaaaaaa) is on no server" in message
    for server in WEB.servers:
        assert (associate(WEB.production, server) in message) == (server in choices)


def test_an_address_on_an_instance_outside_the_pair_is_refused_with_the_command_that_moves_it() -> None:
    for production, staging in ((STRANGER, TAO), (BITTYBOT, STRANGER)):
        with pytest.raises(PreflightFailed) as refused:
            planned(production=production, staging=staging)
        message = str(refused.value)
        assert "on eni-of-stranger of i-0cccccccc, which is not in the pair web (bittybot and tao)" in message
        assert "aws ec2 associate-address --allocation-id" in message


@pytest.mark.parametrize("live", WEB.servers)
def test_staging_outside_the_pair_goes_to_the_idle_server_if_it_displaces_nothing(live: Server) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(production=live, staging=STRANGER)
    assert associate(WEB.staging, WEB.other(live)) in str(refused.value)
    assert associate(WEB.staging, live) not in str(refused.value)


def test_an_address_on_a_network_interface_without_an_instance_is_refused() -> None:
    stray = replace(address("staging", None), association_id="eipassoc-1", network_interface_id="eni-0dddd")
    with pytest.raises(PreflightFailed, match="on eni-0dddd, which is not in the pair"):
        plan(Request(WEB), address("production", BITTYBOT), stray)


def test_an_address_that_an_aws_service_manages_is_refused() -> None:
    managed = replace(address("staging", TAO), service_managed="nlb")
    with pytest.raises(PreflightFailed, match=r"managed by the AWS service nlb.* Nothing was changed\. Configure"):
        plan(Request(WEB), address("production", BITTYBOT), managed)


def test_a_refusal_is_reported_like_a_plan_that_changes_nothing() -> None:
    addresses = address("production", None), address("staging", TAO)
    refusal = Refusal(Request(WEB, TAO, dry_run=True), *addresses, "Because.").to_json()
    assert refusal.items() >= {"pair": "web", "decision": "REFUSED", "reason": "Because.", "dryRun": True}.items()
    assert (refusal["target"], refusal["privateIps"]) == ("tao", {})
    assert refusal["production"] == address("production", None).to_json()
    assert Refusal(Request(WEB), *addresses, "Because.").to_json()["target"] == "-"


# The request.


def test_an_input_is_read_with_its_server_in_any_case_and_an_empty_one_asks_for_the_idle_server() -> None:
    for name in ("tao", "TAO", "Tao"):
        assert read_request({"serverName": name}, {"web": WEB}) == Request(WEB, TAO)
    assert read_request({}, {"web": WEB}) == Request(WEB, None, False)
    value = {"pair": "api", "serverName": "bittybot", "dryRun": True}
    assert read_request(value, {"web": WEB, "api": API}) == Request(API, BITTYBOT, True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], ["[] (list)", "must be a JSON object"]),
        ("go", ["'go'", "must be a JSON object"]),
        (7, ["7 (int)", "must be a JSON object"]),
        ({"pair": "wbe"}, ["pair = 'wbe'", "the configured pairs are api, web"]),
        ({"pair": "WEB"}, ["pair = 'WEB'"]),
        ({"pair": ["web"]}, ["pair = ['web'] (list)", "pair must be a string"]),
        ({}, ["no pair", "it is required if more than one pair is configured", "api, web"]),
        ({"pair": "web", "serverName": "ta"}, ["serverName = 'ta'", "bittybot and tao"]),
        ({"pair": "web", "serverName": 5}, ["serverName = 5 (int)", "serverName must be a string"]),
        ({"pair": "web", "serverName": "t" * 10_000}, ["serverName = 'ttt", "(10000 characters)"]),
        ({"pair": "web", "dryRun": "true"}, ["dryRun = 'true'", "dryRun must be a boolean"]),
        ({"pair": "web", "dryrun": True}, ["'dryrun'", "only the keys pair, serverName, dryRun, expectedRelease"]),
        ({"pair": "web", "serverName ": "tao"}, ["the key 'serverName '"]),
        ({"pair": "web", "interrupted": "tao"}, ["the key 'interrupted'"]),
        ({"pair": "web", "expectedRelease": 2}, ["expectedRelease must be a string"]),
        ({"pair": "web", "expectedRelease": "2"}, ["no check of pair web has a releaseHeader"]),
        ({"pair": "web", "expectedRelease": ""}, ["1 to 256 characters"]),
        ({"pair": "web", "expectedRelease": "2" * 257}, ["1 to 256 characters"]),
        ({"pair": "web", "expectedRelease": "2\n3"}, ["printable ASCII"]),
        ({"pair": "web", "expectedRelease": " 2"}, ["without a space at either end"]),
    ],
)
def test_a_wrong_input_is_refused_naming_the_key_the_value_and_what_is_allowed(value: object, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(value, {"web": WEB, "api": API})
    message = str(refused.value)
    assert [word for word in words if word not in message] == []
    assert "Nothing was read" in message
    assert len(message) < 400


LOOK_ALIKE = ["", " tao", "tao ", "tao\u00a0", "t\u0430o", "ta\u03bf", "\uff54\uff41\uff4f", "ta\u006f\u0301",
              "tao\u200b", "\ufefftao", "\u212aai", "constructor", "__proto__", TAO.instance_id]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKE, ids=ascii)
def test_no_lookalike_letters_name_a_pair_or_a_server(name: str) -> None:
    """The Kelvin sign, here in the name of kai, is the only other character whose lower case is an ASCII letter."""
    pair = replace(WEB, servers=(TAO, replace(BITTYBOT, name="kai")))
    for request in ({"pair": name}, {"pair": "tao", "serverName": name}):
        with pytest.raises(InvalidRequest):
            read_request(request, {"tao": pair, "kai": pair})


def test_with_hundreds_of_pairs_or_control_characters_the_message_stays_short_and_printable() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request({"pair": "wbe\r\n\x1b[31mred\u2028"}, {f"pair-{number}": WEB for number in range(500)})
    message = str(refused.value)
    assert "one of the 500 pairs" in message
    assert message.isprintable()
    assert len(message) < 400


# After a rollback.


@pytest.mark.parametrize(
    ("production", "staging", "moves"),
    [
        (BITTYBOT, TAO, []),
        (BITTYBOT, None, ["staging"]),
        (BITTYBOT, BITTYBOT, ["staging"]),
        (STRANGER, TAO, ["production"]),
        (TAO, TAO, ["production"]),
        (TAO, None, ["production", "staging"]),
        (TAO, BITTYBOT, ["production", "staging"]),
    ],
)
def test_an_unrestored_pair_is_reported_with_the_commands_that_restore_it_production_first(
    production: Server, staging: Server | None, moves: list[str]
) -> None:
    addresses = address("production", production, "10.0.0.9"), address("staging", staging)
    commands = {
        "production": f"{associate(WEB.production, BITTYBOT)} --private-ip-address 10.0.0.9 --allow-reassociation",
        "staging": f"{associate(WEB.staging, TAO)} --private-ip-address 10.0.0.20 --allow-reassociation",
    }
    places = place(BITTYBOT, "10.0.0.9"), place(TAO)
    assert commands_to_restore(*places, *addresses) == [commands[move] for move in moves]
    assert len(commands_to_restore(place(BITTYBOT), place(TAO, "10.0.0.21"), *addresses)) == 2, "other private address"


def test_a_plan_knows_the_commands_that_restore_the_sound_pair() -> None:
    assert planned().to_json()["restore"] == (
        f"{associate(WEB.production, BITTYBOT)} --private-ip-address 10.0.0.10 --allow-reassociation && "
        f"{associate(WEB.staging, TAO)} --private-ip-address 10.0.0.20 --allow-reassociation"
    )
