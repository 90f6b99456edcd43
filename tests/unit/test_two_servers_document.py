"""The document of the two servers says what they cost and how releases behave, as the programs have it."""

import re

import next_steps
import web_server
from local.server import PROGRAMS

DOCUMENT = (PROGRAMS / "README.md").read_text()


def test_the_rows_of_the_cost_have_the_sum() -> None:
    *rows, total = [float(cost) for cost in re.findall(r"\$(\d\.\d{4})(?:\*\*)? \|$", DOCUMENT, re.MULTILINE)]
    assert len(rows) == 4
    assert round(sum(rows), 4) == total
    assert f"about ${total:.2f} an hour" in next_steps.COST
    assert f"About ${total:.2f} an hour" in DOCUMENT


def test_every_behaviour_of_a_release_is_documented() -> None:
    documented = re.findall(r"^\| `7-([a-z-]+)` \|", DOCUMENT, re.MULTILINE)
    assert documented == [*web_server.BEHAVIOURS, "fails", "slow", "very-slow"]
