"""Every error and every alarm has a section in `docs/runbook.md`, and every message about it points there.

`tests/local/test_runbook.py` runs its commands.
"""

import re
from datetime import UTC, datetime
from typing import Any

from client.progress import Progress
from client.result import ADVICE, FAILURES, Result
from stacks.configuration.names import DEFAULT_NAME, Names
from stacks.monitoring.monitoring import alarm_names
from stacks.workflow.repair import FAILURES as REPAIR_FAILURES
from tests.runbook import RUNBOOK, SECTIONS, anchor, parts_of, steps_of
from tests.stacks.synthesis import WORKFLOWS, resources, workflow_of
from tests.stacks.test_contract import states_of

PARTS = parts_of(RUNBOOK)
EMERGENCIES = ["Users get a bad release", "Production is on no server"]


def names_in_headings() -> set[str]:
    return {name for heading in SECTIONS for name in heading.split(", ")}


def test_every_error_every_alarm_and_every_fail_state_has_a_section(template: dict[str, Any]) -> None:
    fail_states = {
        name
        for workflow in WORKFLOWS
        for name, state in states_of(workflow_of(template, workflow))
        if state["Type"] == "Fail"
    }
    alarms = {alarm["Properties"]["AlarmName"] for alarm in resources(template, "AWS::CloudWatch::Alarm").values()}
    assert alarms == {*alarm_names(Names(DEFAULT_NAME))}
    assert fail_states | alarms | set(FAILURES) | set(REPAIR_FAILURES) <= names_in_headings()


def test_every_section_says_what_it_means_what_is_true_now_and_what_to_do() -> None:
    for heading in SECTIONS:
        assert re.search(r"\*\*Means:\*\*.*\*\*True now:\*\*.*\*\*Do:\*\*", PARTS[heading], re.DOTALL), heading


def test_each_alarm_and_each_advice_of_the_client_points_to_the_section_of_its_name(template: dict[str, Any]) -> None:
    pointers = {
        alarm["Properties"]["AlarmName"]: alarm["Properties"]["AlarmDescription"]
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
    }
    for error in (*ADVICE, "Any other error"):
        described = {
            "executionArn": "arn:aws:states:us-east-1:1:execution:eip-cutover:one",
            "status": error if error.isupper() else "FAILED",
            "error": error,
            "startDate": datetime.now(UTC),
        }
        pointers[error] = str(Result(described, Progress()).advice)
    for name, text in pointers.items():
        (pointed,) = re.findall(r"docs/runbook\.md#([\w-]+)$", text)
        (heading,) = (heading for heading in SECTIONS if anchor(heading) == pointed)
        assert name in heading.split(", ")


def test_the_runbook_begins_with_the_two_emergencies_and_one_command_for_each() -> None:
    assert list(PARTS)[:2] == EMERGENCIES
    for heading, command in zip(EMERGENCIES, ("rollback", "start"), strict=True):
        (first, *_) = steps_of(heading)
        assert len(first.splitlines()) == 2
        assert first.splitlines()[1].startswith(f"./cutover.py {command} ")


def test_every_link_in_the_runbook_has_a_target_and_the_first_table_links_every_other_section() -> None:
    anchors = {anchor(heading) for heading in PARTS}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors
    table = {anchor(heading) for heading in SECTIONS - set(EMERGENCIES)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PARTS["What do you see?"])) == table


def test_the_runbook_is_short_enough_to_be_read_at_night() -> None:
    assert len(RUNBOOK.splitlines()) <= 290
