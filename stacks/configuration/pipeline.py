"""The context value `pipeline` of cdk.json: a CodePipeline that starts the workflow with each release."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Tag, ValidationInfo, WrapValidator

from stacks.configuration.allowed import FOLLOWS, LEFT_OUT, NAME, Section, by_kind, section, text
from stacks.configuration.ci_access import BRANCH, GROUP_AND_NAME
from stacks.configuration.problems import problem, shown

CONNECTION = "arn:aws[a-z-]*:(?:codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]{36}"
CONNECTION_ARN = text("the ARN of a connection (codeconnections or codestar-connections)", CONNECTION)
REPOSITORY = text('"owner/name", with subgroups if there are any', GROUP_AND_NAME)
BUCKET_WORDS = "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"
BUCKET = text(BUCKET_WORDS, "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
KEY = text("an object's key: 1 to 1024 letters, digits and characters of !_.'()/-", "[A-Za-z0-9!_.'()/-]{1,1024}")


class Connection(Section):
    """A branch of a Git repository, through a connection."""

    kind: ClassVar[str] = "a connectionArn"
    connectionArn: Annotated[str, CONNECTION_ARN]
    """Create and confirm the connection in the console."""
    repository: Annotated[str, REPOSITORY]
    branch: Annotated[str, BRANCH]


class Object(Section):
    """An object in a bucket."""

    kind: ClassVar[str] = "a bucket"
    bucket: Annotated[str, BUCKET]
    """The bucket must keep versions. If a new object should start the pipeline, it must send events to EventBridge."""
    key: Annotated[str, KEY]


Source = Annotated[
    Annotated[Connection, Tag(Connection.kind)] | Annotated[Object, Tag(Object.kind)],
    by_kind(lambda source: Object.kind if "bucket" in source else Connection.kind),
]


def _is_configured(given: Any, validate: Any, info: ValidationInfo) -> str:
    pair = "" if given is LEFT_OUT else str(validate(given))
    if not (pairs := (info.context or {}).get("pairs")):
        return pair  # only the wrong pairs are reported
    names = " or ".join(map(shown, pairs))
    if pair and pair not in pairs:
        raise problem(f"a configured pair: {names}")
    if not pair and len(pairs) > 1:
        raise problem(f"{names}: more than one pair is configured", "nothing")
    pair = pair or str(*pairs)
    if pairs[pair].deploy is None:
        raise problem("a pair with `deploy`, because every release is deployed", f"{shown(pair)}, without `deploy`")
    return pair


class Pipeline(Section):
    """Where a release comes from, and the pair that the workflow is started for."""

    former: ClassVar[Mapping[str, str]] = {
        "deploy": "not here any more: put it into the pair, which the workflow deploys",
        "expectRelease": "not any more: with a releaseHeader in a check of the pair, its release is always expected",
    }
    pair: Annotated[str, NAME, WrapValidator(_is_configured)] = FOLLOWS
    """A configured pair that has `deploy`. Default: the only configured pair"""
    source: Annotated[Source, section(Connection, Object)]
