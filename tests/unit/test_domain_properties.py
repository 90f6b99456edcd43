"""The decisions under any order of crashes: planning again converges, and production is never without a server.

`EC2` is the smallest account that has AWS's address semantics: a private address holds one Elastic IP, and associating
another one there displaces it. `Workflow` is what `stacks/workflow/cutover.py` does with a plan and with the lock of an
execution that died, without Step Functions.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest, PreflightFailed
from domain.pair import Address, AddressName, Pair, Server
from domain.plan import Plan, plan
from domain.request import REQUEST_KEYS, Request, read_request

BITTYBOT, TAO = Server("bittybot", "i-0aaaaaaaa"), Server("tao", "i-0bbbbbbbb")
SERVERS = {"bittybot": BITTYBOT, "tao": TAO}
STRANGER = Server("stranger", "i-0cccccccc")
WEB = Pair("web", "eipalloc-0aaaaaaa", "eipalloc-0bbbbbbb", (BITTYBOT, TAO), [{"port": 80}])
NAMES: dict[str, AddressName] = {WEB.production: "production", WEB.staging: "staging"}
STEP = re.compile(
    r"(associate|disassociate) the (\w+) address \S+ \((\S+)\) (?:with|from) (\w+)(, in one move from \w+)?"
)

# A private address: its instance, and whether it is the instance's primary one or a secondary one.
Place = tuple[Server, str] | None

# Deterministic: the same examples in every run, here and in CI, and none kept in between.
exhaustively = settings(derandomize=True, database=None, deadline=None, max_examples=400)


@dataclass
class EC2:
    """Where the two addresses are. Every change is looked at for what must never happen."""

    places: dict[AddressName, Place]

    def associate(self, name: AddressName, server: Server) -> None:
        displaced = [other for other, place in self.places.items() if place == (server, "primary") and other != name]
        assert "production" not in displaced, f"staging displaced production from {server.name}"
        self.places |= {**dict.fromkeys(displaced), name: (server, "primary")}

    def disassociate(self, name: AddressName) -> None:
        assert name == "staging", "production was disassociated"
        self.places[name] = None

    def described(self, name: AddressName) -> Address:
        allocation_id = WEB.production if name == "production" else WEB.staging
        free = Address(name, allocation_id, "198.51.100.1" if name == "production" else "198.51.100.2")
        if (place := self.places[name]) is None:
            return free
        server = WEB.server_holding(place[0].instance_id, None)
        return replace(
            free,
            association_id=f"eipassoc-{name}",
            instance_id=place[0].instance_id,
            private_ip=place[1],
            server=server.name if server else None,
        )

    def on(self, name: AddressName) -> Server | None:
        place = self.places[name]
        return place[0] if place else None

    @property
    def is_sound(self) -> bool:
        """The two addresses are on the two servers, one on each."""
        return {self.on("production"), self.on("staging")} == set(WEB.servers)


@dataclass
class Workflow:
    """Executions of one request after another, on one account. `dead_lock` is the server in a dead holder's lock."""

    ec2: EC2
    request: Request
    keep_live: bool = False
    dead_lock: Server | None = None
    decisions: list[str] = field(default_factory=list)

    def plan(self, interrupted: Server | None = None) -> Plan:
        name = interrupted.name if interrupted else None
        addresses = self.ec2.described("production"), self.ec2.described("staging")
        return plan(self.request, *addresses, interrupted=name, keep_live=self.keep_live)

    def execute(self, crash_after: int | None = None) -> bool:
        """One execution, and whether it ended; `crash_after` so many steps it dies, and leaves its lock."""
        planned = self.plan()
        if planned.decision != "ALREADY_LIVE" and self.dead_lock:
            interrupted, self.dead_lock = self.dead_lock, None
            planned = self.plan(interrupted)
        self.decisions.append(planned.decision)
        if planned.decision == "ALREADY_LIVE" or planned.dry_run:
            return True
        self.dead_lock = planned.idle if planned.decision == "CUT_OVER" else planned.live
        for step in planned.steps[:crash_after]:
            self.carry_out(step)
        if crash_after is None:
            self.dead_lock = None
        return crash_after is None

    def carry_out(self, step: str) -> None:
        """Does what the plan says in words, to the letter."""
        words = STEP.fullmatch(step)
        assert words, step
        verb, name, allocation_id, server, _ = words.groups()
        assert NAMES[allocation_id] == name
        if verb == "associate":
            self.ec2.associate(NAMES[allocation_id], SERVERS[server])
        else:
            assert self.ec2.on(NAMES[allocation_id]) == SERVERS[server]
            self.ec2.disassociate(NAMES[allocation_id])


def every_place(*servers: Server) -> list[Place]:
    return [None, *product(servers, ("primary", "secondary"))]


def states(production: Iterable[Place], staging: Iterable[Place]) -> list[tuple[Place, Place]]:
    """All that EC2 allows: two addresses are never on one private address."""
    return [(one, other) for one, other in product(production, staging) if one is None or one != other]


def account(state: tuple[Place, Place]) -> EC2:
    return EC2({"production": state[0], "staging": state[1]})


LIVE_STATES = states(every_place(*WEB.servers)[1:], every_place(*WEB.servers))
REFUSED_STATES = states([None, (STRANGER, "primary")], every_place(*WEB.servers, STRANGER)) + states(
    every_place(*WEB.servers)[1:], [(STRANGER, "primary")]
)
anybody = st.sampled_from([None, *WEB.servers])
crashes = st.lists(st.integers(0, 4), max_size=5)
accounts = st.sampled_from(LIVE_STATES).map(account)
requests = st.builds(Request, st.just(WEB), anybody, st.booleans())


@exhaustively
@given(st.sampled_from(LIVE_STATES), st.sampled_from(WEB.servers), crashes, anybody)
def test_whatever_crashes_the_same_request_again_makes_the_server_live_that_it_names(
    state: tuple[Place, Place], asked: Server, crashes: Sequence[int], dead_lock: Server | None
) -> None:
    workflow = Workflow(account(state), Request(WEB, asked), dead_lock=dead_lock)
    for crash_after in crashes:
        workflow.execute(crash_after)
    workflow.execute()
    assert workflow.ec2.is_sound
    assert workflow.ec2.on("production") == asked
    workflow.execute()
    assert workflow.decisions[-1] == "ALREADY_LIVE"


@exhaustively
@given(st.sampled_from(LIVE_STATES), crashes)
def test_an_empty_input_again_finishes_what_it_began_and_never_undoes_it(
    state: tuple[Place, Place], crashes: Sequence[int]
) -> None:
    workflow = Workflow(account(state), Request(WEB))
    asked = workflow.plan().idle
    any(workflow.execute(crash_after) for crash_after in crashes) or workflow.execute()
    assert workflow.ec2.is_sound
    assert workflow.ec2.on("production") == asked


@exhaustively
@given(st.sampled_from(LIVE_STATES), anybody, crashes, crashes)
def test_a_repair_after_any_crash_leaves_production_where_it_is_and_the_pair_sound(
    state: tuple[Place, Place], asked: Server | None, crashes: Sequence[int], crashes_of_the_repair: Sequence[int]
) -> None:
    workflow = Workflow(account(state), Request(WEB, asked))
    for crash_after in crashes:
        workflow.execute(crash_after)
    workflow.keep_live = True
    live = workflow.ec2.on("production")
    for crash_after in crashes_of_the_repair:
        workflow.execute(crash_after)
    workflow.execute()
    assert workflow.ec2.is_sound
    assert workflow.ec2.on("production") == live
    assert "CUT_OVER" not in workflow.decisions[len(crashes) :]


@exhaustively
@given(st.sampled_from(LIVE_STATES), anybody, anybody)
def test_steps_are_planned_for_every_pair_but_one_that_stands_as_asked_for(
    state: tuple[Place, Place], asked: Server | None, interrupted: Server | None
) -> None:
    ec2 = account(state)
    planned = Workflow(ec2, Request(WEB, asked)).plan(interrupted)
    stands = ec2.is_sound and ec2.on("production") == (asked or interrupted)
    assert (planned.decision == "ALREADY_LIVE") == stands == (planned.steps == [])


@exhaustively
@given(st.sampled_from(LIVE_STATES), anybody, anybody)
def test_a_dry_run_reports_the_very_plan_that_would_be_carried_out(
    state: tuple[Place, Place], asked: Server | None, interrupted: Server | None
) -> None:
    planned, dry = (
        Workflow(account(state), Request(WEB, asked, dry_run)).plan(interrupted) for dry_run in (False, True)
    )
    assert dry.dry_run
    assert dry.steps == planned.steps
    assert replace(dry, dry_run=False) == planned


@exhaustively
@given(st.sampled_from(REFUSED_STATES), st.builds(Workflow, accounts, requests, st.booleans(), anybody))
def test_a_pair_that_no_plan_is_safe_for_stays_refused_until_somebody_acts(
    state: tuple[Place, Place], workflow: Workflow
) -> None:
    mended, workflow.ec2 = workflow.ec2, account(state)
    for _ in range(2):
        with pytest.raises(PreflightFailed):
            workflow.execute()
    assert workflow.ec2 == account(state)
    workflow.ec2 = mended
    workflow.execute()
    assert workflow.ec2.is_sound or workflow.request.dry_run


# The request: any JSON value, with lone surrogates, as `"\ud800"` in JSON makes them.
texts = st.text(st.characters(exclude_categories=()), max_size=200) | st.sampled_from(
    ["web", "tao", "TAO", *REQUEST_KEYS]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(scalars, lambda some: st.lists(some) | st.dictionaries(texts, some), max_leaves=20)
nearly_requests = st.dictionaries(st.sampled_from(list(REQUEST_KEYS)) | texts, anything, max_size=4)


def nested(levels: int) -> list[Any]:
    return functools.reduce(lambda inner, _: [inner], range(levels), [])


def readable(value: Any, pairs: dict[str, Pair]) -> Request | None:
    """The request, or None when it is refused as it should be: in a short line of printable characters."""
    try:
        return read_request(value, pairs)
    except InvalidRequest as refused:
        message = str(refused)
    assert message.isprintable()
    assert len(message) < 600
    return None


@exhaustively
@given(anything | nearly_requests, st.sampled_from([1, 2, 200]))
@example({"serverName": "tao", "pair": "web", "dryRun": True}, 1)
@example({"pair": [[]] * 100_000}, 1)
@example(-(10**400), 1)
def test_any_input_is_a_request_or_refused_in_a_short_printable_line(value: Any, configured: int) -> None:
    pairs = {"web": WEB} | {f"pair-{number}": WEB for number in range(1, configured)}
    if found := readable(value, pairs):
        assert set(value) <= set(REQUEST_KEYS)
        assert found.pair in pairs.values()
        assert found.server in (None, *WEB.servers)


def test_a_value_nested_500_levels_deep_is_refused_like_any_other() -> None:
    assert readable({"serverName": nested(500)}, {"web": WEB}) is None


@pytest.mark.parametrize("value", [nested(100_000), 10**5_000], ids=["100,000 levels", "5,000 digits"])
def test_a_value_that_python_cannot_write_down_is_refused_like_any_other(value: Any) -> None:
    assert readable({"serverName": value}, {"web": WEB}) is None
