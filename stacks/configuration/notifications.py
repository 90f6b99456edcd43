"""The context value `notifications` of cdk.json: who gets a mail of every outcome and every alarm."""

from typing import Annotated

from stacks.configuration.allowed import Section, list_of, text

EMAIL = text("an e-mail address", r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


class Notifications(Section):
    """SNS sends each address a mail to confirm with, once, and nothing until then."""

    emails: Annotated[list[Annotated[str, EMAIL]], list_of(1, 20, "e-mail addresses")]
