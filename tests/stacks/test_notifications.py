"""Who gets a mail: the addresses in cdk.json are subscribed to the topic."""

from pathlib import Path

from stacks.configuration.settings import configured
from tests.stacks.contexts import pair
from tests.stacks.synthesis import resources, template_of


def test_each_address_is_subscribed_to_the_topic(tmp_path: Path) -> None:
    emails = ["ops@example.com", "sms@example.com"]
    context = {"pairs": {"web": pair()}, "notifications": {"emails": emails}}
    settings = configured(context.get)
    assert settings.notifications
    template = template_of(tmp_path, context, emails=settings.notifications.emails)
    (topic,) = resources(template, "AWS::SNS::Topic")
    subscriptions = resources(template, "AWS::SNS::Subscription").values()
    assert [subscription["Properties"] for subscription in subscriptions] == [
        {"Protocol": "email", "Endpoint": address, "TopicArn": {"Ref": topic}} for address in emails
    ]
