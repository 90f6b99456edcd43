"""All that the app reads from its context, so that the problems of every part are told at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stacks.configuration.ci_access import Trust, configured_ci_access
from stacks.configuration.notifications import configured_emails
from stacks.configuration.pairs import Pair, Vpc, configured_pairs, configured_vpc
from stacks.configuration.pipeline import Pipeline, configured_pipeline
from stacks.configuration.problems import InvalidConfiguration, refuse

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """The context of cdk.json, valid, with every default filled in; None for what is not configured."""

    pairs: Mapping[str, Pair]
    vpc: Vpc | None
    emails: Sequence[str]
    ci_access: Trust | None
    pipeline: Pipeline | None


def configured(context: Callable[[str], object]) -> Settings:
    """The settings; `context` is `node.try_get_context`. Raises InvalidConfiguration with the problems of all parts."""
    problems: dict[str, None] = {}  # each once: pairs are read with their VPC

    def valid(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except InvalidConfiguration as error:
            problems.update(dict.fromkeys(error.problems))
            return otherwise

    none: dict[str, Pair] = {}
    pairs = valid(lambda: configured_pairs(context("pairs"), vpc=context("vpc")), none)
    settings = Settings(
        pairs=pairs,
        vpc=valid(lambda: configured_vpc(context("vpc")), None),
        emails=valid(lambda: configured_emails(context("notifications")), []),
        ci_access=valid(lambda: configured_ci_access(context("ciAccess")), None),
        pipeline=valid(lambda: configured_pipeline(context("pipeline"), pairs), None),
    )
    refuse([*problems])
    return settings
