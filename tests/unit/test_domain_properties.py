"""Properties of every request and of every plan, for all places of the two addresses and all inputs."""

import functools
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from domain.errors import InvalidRequest, PreflightFailed
from domain.fitness import HOLDS_AN_ADDRESS, complete
from domain.lock import Lock
from domain.pair import Address, AddressName, Instance, NetworkInterface, Pair, Picture, Place, PrivateAddress, Server
from domain.plan import NoTarget, Plan, Refusal, commands_to_restore, plan
from domain.record import Record, RollbackTo
from domain.request import REQUEST_KEYS, Request, read_request
from tests.unit.example_pair import BITTYBOT, PRIMARY, STRANGER, TAO, WEB, address, place

ASSOCIATE = re.compile(
    r"aws ec2 associate-address --allocation-id (\S+) --instance-id (\S+)(?: --private-ip-address (\S+))?"
)
WORKFLOWS = Path(__file__).parents[2] / "stacks" / "workflow"
SERVERS = {server.instance_id: server for server in (BITTYBOT, TAO, STRANGER)}
SECONDARY = {BITTYBOT: "10.0.0.11", TAO: "10.0.0.21"}
PLACES = [None, *map(place, SERVERS.values()), *(place(*each) for each in SECONDARY.items())]


ON_NO_SERVER = "is on no server, so no server is live"


@dataclass(frozen=True)
class Situation:
    """Where the two addresses stand, and everything else that a plan depends on. The record names `back_to`."""

    production: Place | None
    staging: Place | None
    asked: Server | None = None
    interrupted: Server | None = None
    keep_live: bool = False
    rollback: bool = False
    back_to: Server | None = None

    @property
    def addresses(self) -> tuple[Address, Address]:
        return _address("production", self.production), _address("staging", self.staging)

    @property
    def is_sound(self) -> bool:
        return {each.server for each in (self.production, self.staging) if each} == set(WEB.servers)

    @property
    def named(self) -> Server | None:
        """The server that the input or the record names, if it is in the pair."""
        named = self.back_to if self.rollback else self.asked
        if named is None and self.production and not self.rollback:
            named = self.interrupted
        return named if named in WEB.servers else None

    def plan(self, *, emergency: bool = False) -> Plan:
        record = Record(
            interrupted=Lock(server=self.interrupted.name) if self.interrupted else None,
            rollback_to=RollbackTo(self.back_to.name, "it was live before") if self.back_to else RollbackTo(),
        )
        request = Request(WEB, self.asked, rollback=self.rollback, emergency=emergency)
        return plan(request, *self.addresses, record=record, keep_live=self.keep_live)

    def after(self, commands: str) -> "Situation":
        """As it is once a person has run the commands: an address displaces the one that stands where it goes."""
        standing = {WEB.production: self.production, WEB.staging: self.staging}
        for allocation_id, instance_id, private_ip in ASSOCIATE.findall(commands):
            target = place(SERVERS[instance_id], private_ip)
            standing = {each: None if where == target else where for each, where in standing.items()}
            standing[allocation_id] = target
        return replace(self, production=standing[WEB.production], staging=standing[WEB.staging])


def instance(server: Server, state: str) -> Instance:
    private_ips = (PrivateAddress(PRIMARY[server]), PrivateAddress(SECONDARY[server], is_primary=False))
    return Instance(state, {"eni-1": NetworkInterface("eni-1", private_ips)} if state != "terminated" else {})


def _address(name: AddressName, at: Place | None) -> Address:
    return address(name, at.server, at.private_ip) if at else address(name, None)


def planned_or_refused(situation: Situation) -> Plan | NoTarget | PreflightFailed:
    try:
        return situation.plan()
    except (NoTarget, PreflightFailed) as refused:
        return refused


# Every way to ask: asked for, interrupted, keep production, roll back, the server that the record names.
ASKED: list[Any] = [
    *product([None, *WEB.servers], [None, *SERVERS.values()], [False, True], [False], [None, TAO]),
    *product([None], [None, *SERVERS.values()], [False], [True], [None, *SERVERS.values()]),
]
STANDING = [each for each in product(PLACES, PLACES) if each[0] is None or each[0] != each[1]]
SITUATIONS = [Situation(*standing, *asked) for standing, asked in product(STANDING, ASKED)]
OUTCOMES = [(situation, planned_or_refused(situation)) for situation in SITUATIONS]
PLANS = [(situation, outcome) for situation, outcome in OUTCOMES if isinstance(outcome, Plan)]


def test_a_refusal_changes_nothing_and_no_command_that_it_gives_displaces_production() -> None:
    for situation, refusal in OUTCOMES:
        if isinstance(refusal, PreflightFailed):
            assert str(refusal).count("Nothing was changed.") == 1, situation
            for command in ASSOCIATE.finditer(str(refusal)):
                assert situation.production is None or situation.after(command[0]).production, situation
        if isinstance(refusal, NoTarget):  # the handler completes the message
            assert situation.rollback or ON_NO_SERVER in str(refusal), situation
            assert not ASSOCIATE.search(str(refusal)), situation


def test_production_moves_only_if_the_input_or_the_record_names_a_server_or_the_pair_is_sound() -> None:
    for situation, planned in PLANS:
        named = situation.named
        moves = not situation.keep_live and (planned.idle.server == named if named else situation.is_sound)
        assert (planned.decision == "CUT_OVER") == moves, situation
        assert any("production address" in step for step in planned.steps) == moves, situation
        assert (planned.steps == []) == (planned.decision == "ALREADY_LIVE"), situation


def test_a_rollback_makes_the_server_live_that_the_record_names_and_no_other() -> None:
    for situation, outcome in OUTCOMES:
        if situation.rollback and situation.named is None:
            assert not isinstance(outcome, Plan), situation
        if situation.rollback and isinstance(outcome, Plan):
            assert outcome.to_json()["target"] == str(situation.named and situation.named.name), situation


def test_production_leaves_no_server_only_for_a_server_that_is_named_and_then_always() -> None:
    """Staging is no obstacle, wherever it is."""
    for situation, outcome in OUTCOMES:
        if situation.production is None:
            goes = situation.named is not None and not situation.keep_live
            assert isinstance(outcome, Plan) == goes, situation
            assert not isinstance(outcome, Plan) or (outcome.decision, outcome.idle.server) == (
                "CUT_OVER",
                situation.named,
            ), situation


def test_an_emergency_plans_the_same_and_only_more_urgently() -> None:
    for situation, planned in PLANS:
        urgent = replace(planned, request=replace(planned.request, emergency=True), urgent=True)
        assert situation.plan(emergency=True) == urgent, situation


def test_the_idle_place_is_never_on_the_server_that_holds_production() -> None:
    for situation, planned in PLANS:
        assert planned.live == situation.production, situation
        assert planned.live is None or planned.idle.server == WEB.other(planned.live.server), situation
        on_idle = situation.staging is not None and situation.staging.server == planned.idle.server
        assert planned.idle == (situation.staging if on_idle else Place(planned.idle.server)), situation


def test_a_plan_in_json_has_exactly_what_the_states_read() -> None:
    text = "".join(file.read_text() for file in WORKFLOWS.glob("*.py"))
    read = {*re.findall(r"\$plan\.(\w+)", text)}
    read |= {key for keys in re.findall(r"of_plan\((.*?)\)", text) for key in re.findall(r'"(\w+)"', keys)}
    read.add("stagingTo")  # a place like `live` and `idle`, which a task names as where an address goes
    of_a_refusal = Refusal(Request(WEB), *SITUATIONS[0].addresses, "Because.").to_json()
    for situation, planned in PLANS:
        value = planned.to_json()
        assert set(value) | set(of_a_refusal) == read
        assert value["target"] == value["idle" if planned.decision == "CUT_OVER" else "live"]["name"], situation


# What the two servers are like: each in one of these states.
STATES = ("running", "stopped", "stopping", "pending", "terminated")
PICTURES = [
    Picture({server.instance_id: instance(server, state) for server, state in zip(WEB.servers, states, strict=True)})
    for states in product(STATES, STATES)
]


def completed() -> Iterator[tuple[Situation, Plan, Picture]]:
    """Every plan, and the same in an emergency, for every picture that it is fit for. What it was asked by does not
    matter here."""
    for situation, planned in PLANS:
        if situation.interrupted or situation.back_to:
            continue
        for each in (planned, situation.plan(emergency=True)):
            for picture in PICTURES:
                with suppress(PreflightFailed):
                    yield situation, complete(each, picture), picture


def test_an_address_only_goes_to_a_server_that_can_hold_it_and_production_only_to_one_that_runs() -> None:
    for situation, fit, picture in completed():
        state = {server: picture.instances[server.instance_id].state for server in WEB.servers}
        if fit.decision == "ALREADY_LIVE":
            cannot_be_repaired = not fit.staging_in_place
            assert (fit.steps, fit.live) == ([], situation.production), situation
            assert len(fit.warnings) == cannot_be_repaired <= fit.request.emergency, situation
            continue
        assert state[fit.idle.server] in HOLDS_AN_ADDRESS, situation
        if fit.decision != "CUT_OVER":
            continue
        assert state[fit.idle.server] == "running", situation
        assert fit.idle.private_ip, situation
        assert fit.can_roll_back == (fit.live is not None and state[fit.live.server] != "terminated"), situation
        assert fit.urgent == (fit.request.emergency or fit.live is None or state[fit.other] != "running"), situation
        assert fit.urgent or state[fit.other] == "running", situation
        if fit.staging_to is None:
            assert len(fit.warnings) == 1, situation
            assert not any(step.startswith("associate the staging") for step in fit.steps[1:]), situation
        else:
            assert fit.warnings == (), situation
            assert fit.staging_to.server == fit.other, situation
            assert fit.staging_to.private_ip, situation
            assert state[fit.other] in HOLDS_AN_ADDRESS, situation


def test_the_commands_of_a_plan_finish_it_from_every_standing_and_displace_nothing() -> None:
    for situation, fit, _ in completed():
        after = situation.after(fit.to_json()["restore"])
        back = fit.live if fit.can_roll_back else fit.idle
        assert after.production == back, situation
        if fit.decision == "CUT_OVER":
            other = fit.idle if fit.can_roll_back else fit.staging_to
            assert other is None or after.staging == other, situation


def test_no_command_in_a_warning_displaces_production_after_the_cutover() -> None:
    for situation, fit, _ in completed():
        after = replace(situation, production=fit.idle if fit.decision == "CUT_OVER" else fit.live)
        for command in ASSOCIATE.finditer(" ".join(fit.warnings)):
            assert after.after(command[0]).production, situation


def test_the_commands_after_a_failed_rollback_make_the_pair_sound() -> None:
    for standing, live in product(STANDING, WEB.servers):
        situation = Situation(*standing)
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
