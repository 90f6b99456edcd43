"""The decisions: which plan follows from what is configured, asked and observed, and what is refused."""

import ast
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from domain import pair
from domain import plan as domain
from domain.errors import InvalidRequest, PreflightFailed
from domain.pair import Address, Pair, Server
from domain.plan import Plan, compare_restored, plan
from domain.request import Request, read_request

BITTYBOT, TAO = Server("bittybot", "i-0aaaaaaaa"), Server("tao", "i-0bbbbbbbb")
WEB = Pair("web", "eipalloc-0aaaaaaa", "eipalloc-0bbbbbbb", (BITTYBOT, TAO), [{"port": 80}])
API = replace(WEB, name="api")
NOWHERE = Server("nowhere", "")
STRANGER = Server("stranger", "i-0cccccccc")


def address(name: str, on: Server, **more: str) -> Address:
    production = name == "production"
    found = Address(
        name="production" if production else "staging",
        allocation_id=WEB.production if production else WEB.staging,
        public_ip="198.51.100.1" if production else "198.51.100.2",
        **more,
    )
    if on == NOWHERE:
        return found
    server = on.name if on in WEB.servers else None
    return replace(found, association_id=f"eipassoc-{name}", instance_id=on.instance_id, server=server)


def planned(
    *, production: Server, staging: Server, asked: Server | None = None, interrupted: Server | None = None
) -> Plan:
    return plan(
        Request(WEB, asked),
        address("production", production),
        address("staging", staging),
        interrupted=interrupted.name if interrupted else None,
    )


# Production on, staging on, asked for → the decision, and who is live once it is carried out.
@pytest.mark.parametrize(
    ("production", "staging", "asked", "decision", "live"),
    [
        (BITTYBOT, TAO, None, "CUT_OVER", TAO),
        (TAO, BITTYBOT, None, "CUT_OVER", BITTYBOT),
        (BITTYBOT, TAO, TAO, "CUT_OVER", TAO),
        (TAO, BITTYBOT, BITTYBOT, "CUT_OVER", BITTYBOT),
        (BITTYBOT, TAO, BITTYBOT, "ALREADY_LIVE", BITTYBOT),
        (TAO, BITTYBOT, TAO, "ALREADY_LIVE", TAO),
        (BITTYBOT, NOWHERE, None, "CUT_OVER", TAO),
        (BITTYBOT, NOWHERE, TAO, "CUT_OVER", TAO),
        (BITTYBOT, NOWHERE, BITTYBOT, "REPAIR", BITTYBOT),
        (TAO, NOWHERE, TAO, "REPAIR", TAO),
        (BITTYBOT, BITTYBOT, None, "CUT_OVER", TAO),
        (BITTYBOT, BITTYBOT, TAO, "CUT_OVER", TAO),
        (BITTYBOT, BITTYBOT, BITTYBOT, "REPAIR", BITTYBOT),
    ],
)
def test_the_plan_makes_the_server_live_that_was_asked_for(
    production: Server, staging: Server, asked: Server | None, decision: str, live: Server
) -> None:
    result = planned(production=production, staging=staging, asked=asked)
    assert result.decision == decision
    assert result.live == production
    assert result.idle == WEB.other(production)
    assert (result.idle if result.decision == "CUT_OVER" else result.live) == live


@pytest.mark.parametrize("staging", [NOWHERE, BITTYBOT])
def test_a_staging_address_that_is_not_on_the_idle_server_is_put_there_first(staging: Server) -> None:
    result = planned(production=BITTYBOT, staging=staging)
    assert not result.staging_in_place
    assert result.steps[0] == "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with tao"
    assert len(result.steps) == 4


def test_the_steps_of_a_plan_are_the_three_changes_in_their_order() -> None:
    assert planned(production=BITTYBOT, staging=TAO).steps == [
        "disassociate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) from tao",
        "associate the production address 198.51.100.1 (eipalloc-0aaaaaaa) with tao, in one move from bittybot",
        "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with bittybot",
    ]
    assert planned(production=BITTYBOT, staging=TAO, asked=BITTYBOT).steps == []


@pytest.mark.parametrize("live_when_it_died", [BITTYBOT, TAO])
def test_the_same_input_again_finishes_what_an_interrupted_execution_began(live_when_it_died: Server) -> None:
    result = planned(production=live_when_it_died, staging=NOWHERE, interrupted=TAO)
    assert result.decision == ("CUT_OVER" if live_when_it_died == BITTYBOT else "REPAIR")
    assert "interrupted" in result.reason


def test_what_an_interrupted_execution_had_finished_is_not_undone() -> None:
    assert planned(production=TAO, staging=BITTYBOT, interrupted=TAO).decision == "ALREADY_LIVE"


@pytest.mark.parametrize(("staging", "decision"), [(BITTYBOT, "ALREADY_LIVE"), (NOWHERE, "REPAIR"), (TAO, "REPAIR")])
def test_a_repair_never_moves_production(staging: Server, decision: str) -> None:
    result = plan(Request(WEB), address("production", TAO), address("staging", staging), keep_live=True)
    assert (result.decision, result.live) == (decision, TAO)
    assert all("production address" not in step for step in result.steps)


def test_a_server_that_is_asked_for_counts_more_than_an_interrupted_execution() -> None:
    assert planned(production=TAO, staging=NOWHERE, asked=BITTYBOT, interrupted=TAO).decision == "CUT_OVER"


def test_a_plan_says_why() -> None:
    reason = planned(production=BITTYBOT, staging=TAO).reason
    assert reason == (
        "the idle server was asked for, which is tao; production is on bittybot and staging is on tao (i-0bbbbbbbb)"
    )


@pytest.mark.parametrize("asked", [None, TAO])
def test_production_on_no_server_is_refused_with_the_command_that_helps(asked: Server | None) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(production=NOWHERE, staging=TAO, asked=asked)
    assert "production address 198.51.100.1 (eipalloc-0aaaaaaa) is on no server" in str(refused.value)
    assert (
        "aws ec2 associate-address --allocation-id eipalloc-0aaaaaaa --instance-id i-0bbbbbbbb --allow-reassociation"
        in str(refused.value)
    )


@pytest.mark.parametrize("stray", ["production", "staging"])
def test_an_address_on_an_instance_outside_the_pair_is_refused(stray: str) -> None:
    places = {"production": BITTYBOT, "staging": TAO} | {stray: STRANGER}
    with pytest.raises(PreflightFailed, match=r"The (production|staging) address .* on i-0cccccccc, which is not in"):
        planned(**places)


def test_an_address_on_a_network_interface_without_an_instance_is_refused() -> None:
    stray = replace(address("staging", NOWHERE), association_id="eipassoc-1", network_interface_id="eni-0dddd")
    with pytest.raises(PreflightFailed, match="on eni-0dddd, which is not in the pair"):
        plan(Request(WEB), address("production", BITTYBOT), stray)


def test_an_address_that_an_aws_service_manages_is_refused() -> None:
    managed = replace(address("staging", TAO), service_managed="nlb")
    with pytest.raises(PreflightFailed, match="managed by the AWS service nlb"):
        plan(Request(WEB), address("production", BITTYBOT), managed)


def test_a_plan_is_the_same_after_it_was_json() -> None:
    for asked in (None, BITTYBOT):
        before = planned(production=BITTYBOT, staging=TAO, asked=asked)
        after = Plan.from_json(before.to_json())
        assert after.to_json() == before.to_json()


def test_a_plan_knows_the_commands_that_put_everything_back_wherever_it_is_then() -> None:
    production = (
        "aws ec2 associate-address --allocation-id eipalloc-0aaaaaaa --instance-id i-0aaaaaaaa --allow-reassociation"
    )
    assert planned(production=BITTYBOT, staging=TAO).restore_commands == [
        production,
        "aws ec2 associate-address --allocation-id eipalloc-0bbbbbbb --instance-id i-0bbbbbbbb --allow-reassociation",
    ]
    assert planned(production=BITTYBOT, staging=NOWHERE).restore_commands == [
        production,
        "aws ec2 describe-addresses --allocation-ids eipalloc-0bbbbbbb --query 'Addresses[].AssociationId' "
        "--output text | xargs -r -n 1 aws ec2 disassociate-address --association-id",
    ]


# The request.


@pytest.mark.parametrize("name", ["tao", "TAO", "Tao"])
def test_a_server_may_be_named_in_any_case(name: str) -> None:
    assert read_request({"serverName": name}, {"web": WEB}) == Request(WEB, TAO)


def test_an_empty_input_asks_for_the_idle_server_of_the_only_pair() -> None:
    assert read_request({}, {"web": WEB}) == Request(WEB, None, False)


def test_a_complete_input_is_read() -> None:
    asked = {"pair": "api", "serverName": "bittybot", "dryRun": True}
    assert read_request(asked, {"web": WEB, "api": API}) == Request(API, BITTYBOT, True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], ["[] (list)", "must be a JSON object"]),
        ("go", ["'go'", "must be a JSON object"]),
        (None, ["None", "must be a JSON object"]),
        (7, ["7 (int)", "must be a JSON object"]),
        ({"pair": "wbe"}, ["pair = 'wbe'", "the configured pairs are api, web"]),
        ({"pair": ""}, ["pair = ''", "the configured pairs are api, web"]),
        ({"pair": None}, ["pair = None", "pair must be a string"]),
        ({"pair": ["web"]}, ["pair = ['web'] (list)", "pair must be a string"]),
        ({}, ["no pair", "pair must be given", "api, web"]),
        ({"pair": "web", "serverName": "ta"}, ["serverName = 'ta'", "bittybot and tao"]),
        ({"pair": "web", "serverName": ""}, ["serverName = ''", "bittybot and tao"]),
        ({"pair": "web", "serverName": 5}, ["serverName = 5 (int)", "serverName must be a string"]),
        ({"pair": "web", "serverName": "t" * 10_000}, ["serverName = 'ttt", "(10000 characters)"]),
        ({"pair": "web", "dryRun": "true"}, ["dryRun = 'true'", "dryRun must be a boolean"]),
        ({"pair": "web", "dryRun": 1}, ["dryRun = 1 (int)", "dryRun must be a boolean"]),
        ({"pair": "web", "dryrun": True}, ["the key 'dryrun'", "only the keys pair, serverName, dryRun"]),
        ({"pair": "web", "instanceId": "i-1"}, ["the key 'instanceId'", "only the keys"]),
    ],
)
def test_a_wrong_input_is_refused_naming_the_key_the_value_and_what_is_allowed(value: object, says: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(value, {"web": WEB, "api": API})
    message = str(refused.value)
    for words in says:
        assert words in message
    assert "Nothing was read" in message
    assert len(message) < 400
    assert message.isprintable()


def test_a_value_with_control_characters_does_not_break_the_message() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request({"serverName": "tao\r\n\x1b[31mred\u2028"}, {"web": WEB})
    assert str(refused.value).isprintable()


def test_with_hundreds_of_pairs_the_message_stays_short() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request({"pair": "wbe"}, {f"pair-{number}": WEB for number in range(500)})
    assert "500 pairs are configured" in str(refused.value)
    assert len(str(refused.value)) < 400


# After a rollback.


def test_a_pair_that_stands_as_before_is_restored() -> None:
    before = planned(production=BITTYBOT, staging=TAO)
    assert compare_restored(before, before.production, before.staging).is_complete


@pytest.mark.parametrize(
    ("recorded", "production", "staging", "commands"),
    [
        (TAO, BITTYBOT, NOWHERE, ["staging tao"]),
        (TAO, TAO, NOWHERE, ["production bittybot", "staging tao"]),
        (TAO, TAO, BITTYBOT, ["production bittybot", "staging tao"]),
        (TAO, STRANGER, TAO, ["production bittybot"]),
        (NOWHERE, BITTYBOT, TAO, ["staging off"]),
        (NOWHERE, TAO, BITTYBOT, ["production bittybot"]),
        (BITTYBOT, TAO, BITTYBOT, ["production bittybot", "staging bittybot"]),
    ],
)
def test_what_is_not_restored_is_said_as_the_commands_that_restore_it(
    recorded: Server, production: Server, staging: Server, commands: list[str]
) -> None:
    before = planned(production=BITTYBOT, staging=recorded)
    found = compare_restored(before, address("production", production), address("staging", staging))
    assert not found.is_complete

    def command(words: str) -> str:
        name, where = words.split()
        if where == "off":
            return "aws ec2 disassociate-address --association-id eipassoc-staging"
        allocation = WEB.production if name == "production" else WEB.staging
        instance = next(server.instance_id for server in WEB.servers if server.name == where)
        return f"aws ec2 associate-address --allocation-id {allocation} --instance-id {instance} --allow-reassociation"

    assert found.commands == [command(words) for words in commands]


def test_an_address_goes_back_to_the_private_address_that_it_was_on_and_to_the_interface() -> None:
    before = planned(production=BITTYBOT, staging=TAO)
    on_interface = replace(BITTYBOT, network_interface_id="eni-0aaaaaaa")
    before = replace(before, live=on_interface, production=replace(before.production, private_ip="10.0.0.7"))
    command = (
        f"aws ec2 associate-address --allocation-id {WEB.production} --network-interface-id eni-0aaaaaaa "
        "--private-ip-address 10.0.0.7 --allow-reassociation"
    )
    assert before.restore_commands[0] == command
    found = compare_restored(before, address("production", TAO), address("staging", NOWHERE))
    assert found.commands[0] == command


# The shape of the modules.


@pytest.mark.parametrize("module", [domain, pair])
def test_the_domain_imports_nothing_but_the_standard_library_and_itself(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names | {"domain"}
