"""A story tells a person what happened, and leaves out what is as usual."""

import re

from guarantees.checker import GUARANTEES
from tests.simulation.test_one_run import simulated
from tests.simulation.test_shrink import explored_with

CHANGE = re.compile(r"^ +\d+\.\d{3} +=> (.*)$", re.MULTILINE)


def test_it_says_where_the_addresses_are_and_who_holds_the_lock() -> None:
    changes = CHANGE.findall(simulated("--seed", "1", "--only"))

    assert changes == [
        "production is on bittybot, staging is on tao",
        "nobody holds the lock",
        "cutover-1 holds the lock",
        "production is on bittybot, staging is on no server",
        "production is on tao, staging is on no server",
        "production is on tao, staging is on bittybot",
        "nobody holds the lock",
    ]


def test_it_tells_of_a_call_with_why_aws_allows_its_fate_and_of_no_call_that_is_answered() -> None:
    call = "cutover-1/ReassociateProduction.1/ec2 AssociateAddress.1"
    story = simulated("--seed", "1", "--only", "--force", call, "answer lost")

    assert "ReassociateProduction.1, ec2 AssociateAddress.1: answer lost (A network loses packets" in story
    assert ": answered" not in story
    assert "passed" not in story


def test_it_ends_with_the_guarantee_that_is_broken_and_its_promise() -> None:
    story = explored_with("production-unhealthy-ignored")

    broken = re.search(r"^BROKEN: ([a-z-]+)\. (.*)$", story, re.MULTILINE)
    assert broken
    assert broken[2] == GUARANTEES[broken[1]]
