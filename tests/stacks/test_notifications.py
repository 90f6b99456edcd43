"""Who gets a mail: the addresses in cdk.json are subscribed to the topic."""

import json
from pathlib import Path

import aws_cdk as cdk

from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from tests.stacks.contexts import pair
from tests.stacks.test_stack import resources


def test_each_address_is_subscribed_to_the_topic(tmp_path: Path) -> None:
    emails = ["ops@example.com", "sms@example.com"]
    settings = configured({"pairs": {"web": pair()}, "notifications": {"emails": emails}}.get)
    assert settings.notifications
    app = cdk.App(outdir=str(tmp_path))
    CutoverStack(app, "EipCutover", pairs=settings.pairs, emails=settings.notifications.emails)
    app.synth()
    template = json.loads((tmp_path / "EipCutover.template.json").read_text())
    (topic,) = resources(template, "AWS::SNS::Topic")
    subscriptions = resources(template, "AWS::SNS::Subscription").values()
    assert [subscription["Properties"] for subscription in subscriptions] == [
        {"Protocol": "email", "Endpoint": address, "TopicArn": {"Ref": topic}} for address in emails
    ]
