"""The context value `pipeline` of cdk.json: a CodePipeline that deploys to the idle server and then cuts over."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict, cast, final, get_type_hints

from stacks.configuration.ci_access import BRANCH
from stacks.configuration.keys import SERVER_NAME, boolean, read_object, text, whole_number
from stacks.configuration.pairs import Pair
from stacks.configuration.problems import NO_JSON, NOTHING, parsed, path_of, problem, refuse, shown


@final
class Connection(TypedDict):
    """A branch of a Git repository, through a connection that a person has made and confirmed in the console."""

    connectionArn: Annotated[
        str,
        text(
            "the ARN of a connection (codeconnections or codestar-connections)",
            "arn:aws[a-z-]*:(?:codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]{36}",
        ),
    ]
    repository: Annotated[
        str,
        text(
            '"owner/name", with subgroups if there are any',
            r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,20}",
        ),
    ]
    branch: Annotated[str, BRANCH]


@final
class Object(TypedDict):
    """An object in a bucket that keeps versions, and tells EventBridge of new ones if they shall start the pipeline."""

    bucket: Annotated[
        str,
        text(
            "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens", "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
        ),
    ]
    key: Annotated[
        str,
        text("an object's key: 1 to 1024 letters, digits and characters of !_.'()/-", "[A-Za-z0-9!_.'()/-]{1,1024}"),
    ]


class Deploy(TypedDict):
    """What runs on the idle server, as root, with the commit or the object's version in `$RELEASE`."""

    command: Annotated[
        str,
        text(
            'one line of shell, 1 to 1000 printable ASCII characters, no "{{", which Systems Manager would fill in',
            "(?!.*[{]{2})[ -~]{1,1000}",
        ),
    ]
    timeoutSeconds: Annotated[int, whole_number(30, 1800, default=600)]


class Pipeline(TypedDict):
    """The stages of a release: where it comes from, how it gets onto the idle server, which pair is cut over."""

    pair: NotRequired[Annotated[str, SERVER_NAME]]
    source: Connection | Object
    deploy: Deploy
    expectRelease: Annotated[bool, boolean(default=False)]


def configured_pipeline(context: object, pairs: Mapping[str, Pair]) -> Pipeline | None:
    """The pipeline with every default filled in, `pair` too; None where there is none.

    `context` is what `node.try_get_context("pipeline")` returns; `pairs` what `configured_pairs` does, or nothing where
    they are not valid, and reported. Raises InvalidConfiguration.
    """
    problems: list[str] = []
    given = parsed("pipeline", context, problems)
    pipeline = None if given is NOTHING or given is NO_JSON else _pipeline(given, pairs, problems)
    refuse(problems)
    return cast(Pipeline | None, pipeline)


def _pipeline(given: object, pairs: Mapping[str, Pair], problems: list[str]) -> dict[str, Any]:
    pipeline = read_object("pipeline", given, Pipeline, problems, _where())
    if not isinstance(given, Mapping):
        return pipeline
    source = given.get("source", NOTHING)
    kind = Object if isinstance(source, Mapping) and "bucket" in source else Connection
    of_the_other = get_type_hints(Connection if kind is Object else Object)
    elsewhere = dict.fromkeys(of_the_other, f"a source {'without' if kind is Object else 'with'} a bucket")
    if isinstance(source, Mapping):
        pipeline["source"] = read_object("pipeline.source", source, kind, problems, elsewhere)
    else:
        keys = " or ".join(f"the keys {', '.join(get_type_hints(each))}" for each in (Connection, Object))
        problems.append(problem("pipeline.source", shown(source), f"an object with {keys}"))
    pipeline["deploy"] = read_object("pipeline.deploy", given.get("deploy", NOTHING), Deploy, problems, {})
    if pairs:
        _check_pair(given, pipeline, pairs, problems)
    return pipeline


def _check_pair(
    given: Mapping[str, Any], pipeline: dict[str, Any], pairs: Mapping[str, Pair], problems: list[str]
) -> None:
    names = " or ".join(map(shown, pairs))
    if "pair" not in given and len(pairs) == 1:
        (pipeline["pair"],) = pairs
    elif "pair" not in given:
        problems.append(problem("pipeline.pair", "nothing", f"{names}: more than one pair is configured"))
    pair = pairs.get(pipeline.get("pair", ""))
    if "pair" in pipeline and pair is None:
        problems.append(problem("pipeline.pair", shown(pipeline["pair"]), f"a configured pair: {names}"))
    if pair and pipeline.get("expectRelease") and not any("releaseHeader" in check for check in pair["healthCheck"]):
        problems.append(
            problem(
                "pipeline.expectRelease",
                "true, and no check of the pair has a releaseHeader",
                "true only where a server says which release it runs; it must say the commit or the object's version",
            )
        )


def _where() -> dict[str, str]:
    """For a key that was written one level too high."""
    kinds = {"source": (Connection, Object), "deploy": (Deploy,)}
    return {
        key: path_of("pipeline", name) for name, some in kinds.items() for kind in some for key in get_type_hints(kind)
    }
