"""Properties of every request and of every plan, for all places of the two addresses and all inputs."""

import functools
import re
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest, PreflightFailed
from domain.pair import Address, AddressName, Pair, Place, Server
from domain.plan import Plan, commands_to_restore, plan
from domain.record import Interrupted
from domain.request import REQUEST_KEYS, Request, read_request
from tests.unit.example_pair import BITTYBOT, STRANGER, TAO, WEB, address, place

ASSOCIATE = re.compile(
    r"aws ec2 associate-address --allocation-id (\S+) --instance-id (\S+)(?: --private-ip-address (\S+))?"
)
WORKFLOWS = Path(__file__).parents[2] / "stacks" / "workflow"
SERVERS = {server.instance_id: server for server in (BITTYBOT, TAO, STRANGER)}
PLACES = [None, *map(place, SERVERS.values()), place(BITTYBOT, "10.0.0.11"), place(TAO, "10.0.0.21")]


@dataclass(frozen=True)
class Situation:
    """Where the two addresses stand, and everything else that a plan depends on."""

    production: Place | None
    staging: Place | None
    asked: Server | None = None
    interrupted: Server | None = None
    keep_live: bool = False

    @property
    def addresses(self) -> tuple[Address, Address]:
        return _address("production", self.production), _address("staging", self.staging)

    @property
    def is_sound(self) -> bool:
        return {each.server for each in (self.production, self.staging) if each} == set(WEB.servers)

    def plan(self) -> Plan:
        interrupted = Interrupted(self.interrupted.name) if self.interrupted else None
        return plan(Request(WEB, self.asked), *self.addresses, interrupted=interrupted, keep_live=self.keep_live)

    def after(self, commands: str) -> "Situation":
        """As it is once a person has run the commands: an address displaces the one that stands where it goes."""
        standing = {WEB.production: self.production, WEB.staging: self.staging}
        for allocation_id, instance_id, private_ip in ASSOCIATE.findall(commands):
            target = place(SERVERS[instance_id], private_ip)
            standing = {each: None if where == target else where for each, where in standing.items()}
            standing[allocation_id] = target
        return replace(self, production=standing[WEB.production], staging=standing[WEB.staging])


def _address(name: AddressName, at: Place | None) -> Address:
    return address(name, at.server, at.private_ip) if at else address(name, None)


def planned_or_refused(situation: Situation) -> Plan | str:
    try:
        return situation.plan()
    except PreflightFailed as refused:
        return str(refused)


SITUATIONS = [
    Situation(*each)
    for each in product(PLACES, PLACES, [None, *WEB.servers], [None, *SERVERS.values()], [False, True])
    if each[0] is None or each[0] != each[1]
]
OUTCOMES = [(situation, planned_or_refused(situation)) for situation in SITUATIONS]
PLANS = [(situation, outcome) for situation, outcome in OUTCOMES if isinstance(outcome, Plan)]


def test_a_refusal_changes_nothing_and_no_command_that_it_gives_displaces_production() -> None:
    for situation, refusal in OUTCOMES:
        if isinstance(refusal, Plan):
            continue
        assert "Nothing was changed." in refusal, situation
        for command in ASSOCIATE.finditer(refusal):
            assert situation.production is None or situation.after(command[0]).production, situation


def test_production_moves_only_if_the_input_or_the_record_names_a_server_or_the_pair_is_sound() -> None:
    for situation, planned in PLANS:
        named = situation.asked or (situation.interrupted if situation.interrupted in WEB.servers else None)
        moves = not situation.keep_live and (planned.idle.server == named if named else situation.is_sound)
        assert (planned.decision == "CUT_OVER") == moves, situation
        assert any("production address" in step for step in planned.steps) == moves, situation
        assert (planned.steps == []) == (planned.decision == "ALREADY_LIVE"), situation


def test_the_idle_place_is_never_on_the_server_that_holds_production() -> None:
    for situation, planned in PLANS:
        assert planned.live == situation.production, situation
        assert planned.idle.server == WEB.other(planned.live.server), situation
        assert planned.idle == (situation.staging if situation.is_sound else Place(planned.idle.server)), situation


def test_a_plan_in_json_has_exactly_what_the_states_read() -> None:
    read = {key for file in WORKFLOWS.glob("*.py") for key in re.findall(r"\$plan\.(\w+)", file.read_text())}
    for situation, planned in PLANS:
        value = planned.to_json()
        assert set(value) == read
        assert value["target"] == value["idle" if planned.decision == "CUT_OVER" else "live"]["name"], situation


def test_the_commands_after_a_failed_rollback_make_the_pair_sound() -> None:
    for situation, live in product(SITUATIONS, WEB.servers):
        places = place(live), place(WEB.other(live))
        commands = commands_to_restore(*places, *situation.addresses)
        after = situation.after(" && ".join(commands))
        assert (after.production, after.staging) == places, situation
        assert (commands == []) == (after == situation), situation


# The request: any JSON value, with lone surrogates, as `"\ud800"` in JSON makes them.
texts = st.text(st.characters(exclude_categories=()), max_size=200) | st.sampled_from(["web", "tao", *REQUEST_KEYS])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(scalars, lambda some: st.lists(some) | st.dictionaries(texts, some), max_leaves=20)
nearly_requests = st.dictionaries(st.sampled_from(list(REQUEST_KEYS)) | texts, anything, max_size=4)


def nested(levels: int) -> list[Any]:
    return functools.reduce(lambda inner, _: [inner], range(levels), [])


def read_or_none(value: Any, pairs: dict[str, Pair]) -> Request | None:
    """The request, or None if it is refused as it should be: in a short line of printable characters."""
    try:
        return read_request(value, pairs)
    except InvalidRequest as refused:
        message = str(refused)
    assert message.isprintable()
    assert len(message) < 600
    return None


@settings(derandomize=True, database=None, deadline=None, max_examples=200)  # the same examples in every run
@given(anything | nearly_requests, st.sampled_from([1, 2, 200]))
@example({"serverName": "tao", "pair": "web", "dryRun": True}, 1)
@example({"pair": [[]] * 100_000}, 1)
@example(-(10**400), 1)
def test_any_input_is_a_request_or_refused_in_a_short_printable_line(value: Any, configured: int) -> None:
    pairs = {"web": WEB} | {f"pair-{number}": WEB for number in range(1, configured)}
    if request := read_or_none(value, pairs):
        assert set(value) <= set(REQUEST_KEYS)
        assert request.pair in pairs.values()
        assert request.server in (None, *WEB.servers)


@pytest.mark.parametrize("value", [nested(500), nested(100_000), 10**5_000], ids=["500 deep", "100,000 deep", "digits"])
def test_a_value_that_python_cannot_write_down_is_refused_like_any_other(value: Any) -> None:
    assert read_or_none({"serverName": value}, {"web": WEB}) is None
