"""The context value `notifications` of cdk.json: who gets a mail of every outcome and every alarm."""

from typing import Annotated, TypedDict, cast

from stacks.configuration.keys import list_of, read_object, text
from stacks.configuration.problems import NO_JSON, NOTHING, parsed, refuse

EMAIL = text("an e-mail address", r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


class Notifications(TypedDict):
    """SNS sends each of them a mail to confirm with, once, and nothing until then."""

    emails: Annotated[list[str], list_of(EMAIL, 1, 20, "e-mail addresses")]


def configured_emails(context: object) -> list[str]:
    """The addresses, from what `node.try_get_context("notifications")` returns. Raises InvalidConfiguration."""
    problems: list[str] = []
    given = parsed("notifications", context, problems)
    found = {} if given in (NOTHING, NO_JSON) else read_object("notifications", given, Notifications, problems, {})
    refuse(problems)
    return cast(list[str], found.get("emails", []))
