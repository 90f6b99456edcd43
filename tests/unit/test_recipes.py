"""The recipes of `docs/recipes`: each page shows the example as it is, and the calendar's hook does what its page says.

The script that schedules a cutover runs in `tests/local/test_scheduled_cutover.py`.
"""

import importlib.util
import json
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from aws.hook_function import answered
from aws.records import RollbackRequest
from stacks.configuration.settings import configured
from tests.unit.test_hook_function import EVENT, FUNCTION, Lambda

PROJECT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text() for path in (PROJECT / "docs" / "recipes").iterdir()}
EXAMPLES = {"freeze-cutovers": "calendar/calendar_hook.py", "schedule-a-cutover": "schedule/schedule.sh"}
CALENDAR = "arn:aws:ssm:eu-central-1:111122223333:document/freeze"


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^ +```{language}\n(.*?)^ +```$", page, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def test_each_page_shows_its_example() -> None:
    assert PAGES.keys() == EXAMPLES.keys()
    for name, example in EXAMPLES.items():
        shown = (PROJECT / "examples" / example).read_text()
        assert shown in [block for language in ("python", "sh") for block in blocks(PAGES[name], language)]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, Stubber]:
    """The function of the page, and its client, which refuses what Systems Manager's model does not know."""
    client = boto3.client("ssm")
    monkeypatch.setenv("CALENDAR", CALENDAR)
    monkeypatch.setattr(boto3, "client", {"ssm": client}.__getitem__)
    spec = importlib.util.spec_from_file_location("calendar_hook", PROJECT / "examples" / EXAMPLES["freeze-cutovers"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stubber = Stubber(client)
    stubber.activate()
    return module, stubber


def status_of(answer: Any) -> tuple[str, str | None]:
    """How the workflow understands the answer of a hook."""
    listener = RollbackRequest(None)
    return answered(
        FUNCTION, EVENT, until=60, listener=listener, sleep=lambda _: None, clock=lambda: 0, client=Lambda([answer])
    )


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [("OPEN", "SUCCEEDED", ""), ("CLOSED", "FAILED", "Cutovers of web are frozen until 2026-12-02T00:00:00Z.")],
)
def test_a_closed_calendar_fails_the_hook(
    hook: tuple[ModuleType, Stubber], state: str, status: str, reason: str
) -> None:
    module, stubber = hook
    answer = {"State": state, "NextTransitionTime": "2026-12-02T00:00:00Z"}
    stubber.add_response("get_calendar_state", answer, {"CalendarNames": [CALENDAR]})
    answered_status, failure = status_of(module.handler(EVENT, None))
    assert answered_status == status
    assert reason in (failure or "")


def test_a_calendar_that_cannot_be_read_fails_the_hook(hook: tuple[ModuleType, Stubber]) -> None:
    module, stubber = hook
    stubber.add_client_error("get_calendar_state", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        module.handler(EVENT, None)


def test_the_configuration_of_the_page_is_accepted() -> None:
    (keys,) = (json.loads(f"{{{block}}}") for block in blocks(PAGES["freeze-cutovers"], "json"))
    addresses = {"production": "eipalloc-0123456789abcdef0", "staging": "eipalloc-1a2b3c4d"}
    servers = {"servers": {"bittybot": "i-0123456789abcdef0", "tao": "i-1a2b3c4d"}}
    assert configured({"pairs": {"web": addresses | servers | keys}}.get).pairs["web"].hooks is not None
