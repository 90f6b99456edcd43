"""docs/aws-facts.md: every fact says how it is known, and what is only assumed is named in the README's limits."""

import re

import pytest

from tests.acceptance.facts import FACTS, Fact, read_facts
from tests.unit.test_documents import PROJECT

LIMITS = (PROJECT / "README.md").read_text().split("\n## Limits\n")[1].split("\n## ")[0]
SEEN = re.compile(r"seen on AWS on \d{4}-\d\d-\d\d, [a-z]{2}(?:-[a-z]+)+-\d: .+")


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_a_fact_is_seen_documented_with_a_link_or_assumed(fact: Fact) -> None:
    documented = fact.known.startswith("documented: [") and "](https://" in fact.known
    assert documented or fact.is_assumed or SEEN.fullmatch(fact.known)


def test_what_is_assumed_is_named_in_the_limits_of_the_readme_and_nothing_else_is() -> None:
    assumed = {fact.id for fact in FACTS.values() if fact.is_assumed}
    assert 0 < len(assumed) <= 12
    assert set(re.findall(r"`([a-z-]+)`", LIMITS.split("Assumed: ")[1])) == assumed


def test_every_id_is_there_once() -> None:
    assert len(re.findall(r"^\| `", (PROJECT / "docs" / "aws-facts.md").read_text(), re.MULTILINE)) == len(FACTS)
    assert 20 <= len(FACTS) <= 40


def test_a_row_is_read_and_written_again_as_it_was() -> None:
    row = "| `one` ? | a fact | a promise | assumed: nobody says it |"
    (fact,) = read_facts(f"text\n\n{row}\nmore").values()
    assert fact == Fact("one", "a fact", "a promise", "assumed: nobody says it", is_asked=True)
    assert fact.row() == row
