"""Who gets a mail: what `notifications` in cdk.json allows, and the subscriptions that follow from it."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.configuration.notifications import configured_emails
from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from tests.stacks.test_deadline import PAIR
from tests.stacks.test_stack import resources

OPS = "ops@example.com"


@pytest.mark.parametrize("given", [None, {"emails": [OPS]}, '{"emails": ["ops@example.com"]}'])
def test_the_addresses_are_those_given_also_as_json_text(given: object) -> None:
    assert configured_emails(given) == ([OPS] if given else [])


@pytest.mark.parametrize(
    ("given", "path", "says"),
    [
        ([], "notifications", "an object with the keys emails"),
        ({}, "notifications.emails", "nothing"),
        ({"emails": []}, "notifications.emails", "1 to 20"),
        ({"emails": OPS}, "notifications.emails", "a list"),
        ({"emails": ["ops"]}, "notifications.emails", "an e-mail address"),
        ({"emails": ["ops@example.com\r\nBcc: all@example.com"]}, "notifications.emails", "an e-mail address"),
        ({"emails": [OPS, OPS]}, "notifications.emails[1]", "each once"),
        ({"emails": [f"{n}@example.com" for n in range(21)]}, "notifications.emails", "1 to 20"),
        ({"email": [OPS]}, "notifications.email", 'did you mean "emails"?'),
        ("{", "notifications", "text that is not JSON"),
    ],
)
def test_what_is_wrong_is_named(given: object, path: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured_emails(given)
    (problem, *_) = [line for line in str(refused.value).splitlines() if says in line]
    assert problem.strip().startswith(path)


def test_it_is_read_with_the_rest_of_the_context_and_told_with_it() -> None:
    context: dict[str, Any] = {"pairs": {"web": PAIR}, "notifications": {"emails": [OPS]}}
    assert configured(context.get).emails == [OPS]
    with pytest.raises(InvalidConfiguration) as refused:
        configured({"pairs": {}, "notifications": {"emails": []}}.get)
    assert "notifications.emails: found" in str(refused.value)
    assert "pairs: found" in str(refused.value)


def test_each_address_is_subscribed_to_the_topic(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    settings = configured({"pairs": {"web": PAIR}}.get)
    CutoverStack(app, "EipCutover", pairs=settings.pairs, emails=[OPS, "sms@example.com"])
    app.synth()
    template = json.loads((tmp_path / "EipCutover.template.json").read_text())
    (topic,) = resources(template, "AWS::SNS::Topic")
    assert [found["Properties"] for found in resources(template, "AWS::SNS::Subscription").values()] == [
        {"Protocol": "email", "Endpoint": address, "TopicArn": {"Ref": topic}} for address in (OPS, "sms@example.com")
    ]
