"""The context value `ciAccess` of cdk.json: which jobs of which CI system may start the workflow, without stored keys.

A job shows AWS a token that its CI system has signed (OpenID Connect). Whom the role trusts is the token's issuer, its
audience and its subject, each exactly: a subject with a wildcard would let every repository, branch or pull request of
somebody in. To add a CI system, add a TypedDict, and its subject to `_subject`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict, get_type_hints

from stacks.configuration.keys import Computed, read_object, text
from stacks.configuration.problems import NO_JSON, NOTHING, parsed, path_of, problem, refuse, shown

GITHUB_URL = "https://token.actions.githubusercontent.com"
AUDIENCE_OF_AWS = "sts.amazonaws.com"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
OWNER, NAME, ID = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "[A-Za-z0-9._-]{1,100}", "@[0-9]{1,20}"

PROVIDER = text(
    '"existing", if the account has a provider of this URL already (it can have one), or "create"',
    "existing|create",
    default="existing",
)
BRANCH = text(
    'one branch: 1 to 255 letters, digits and characters of ._/+@#-, no "*"', "[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,254}"
)
# IAM's provider URL: https, no port, no query; its audiences have up to 255 characters.
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
URL = text(
    'the issuer\'s "https://" URL in lower case, without port, query and a "/" at the end',
    rf"https://(?:{LABEL}\.)+{LABEL}(?:/[A-Za-z0-9._~-]+){{0,10}}",
)
GITLAB_URL = text(URL.allowed, rf"https://(?:{LABEL}\.)+{LABEL}", default="https://gitlab.com")
AUDIENCE = text('1 to 255 letters, digits and characters of ._:/-, no "*"', "[A-Za-z0-9._:/-]{1,255}")


class GitHub(TypedDict):
    """A repository's jobs on one branch, or in one environment.

    The subject is `repo:owner/name:ref:refs/heads/branch`, and in a job with an environment
    `repo:owner/name:environment:name`. Repositories made or renamed since 15 July 2026 have ids in it:
    `repo:owner@id/name@id:…`. Sources: GitHub, OpenID Connect reference; changelog of 23 April 2026, "Immutable subject
    claims for GitHub Actions OIDC tokens".
    """

    repository: Annotated[
        str,
        text(
            '"owner/name", or "owner@id/name@id" where the token has GitHub\'s immutable ids; no "*"',
            f"{OWNER}/{NAME}|{OWNER}{ID}/{NAME}{ID}",
        ),
    ]
    branch: NotRequired[Annotated[str, BRANCH]]
    environment: NotRequired[
        Annotated[
            str,
            text(
                'one environment: 1 to 255 letters, digits, spaces and characters of ._/-, no "*"',
                "[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{0,253}[A-Za-z0-9._/-])?",
            ),
        ]
    ]
    audience: Annotated[str, text(AUDIENCE.allowed, "[A-Za-z0-9._:/-]{1,255}", default=AUDIENCE_OF_AWS)]
    provider: Annotated[str, PROVIDER]


class GitLab(TypedDict):
    """A project's jobs on one branch: `project_path:group/name:ref_type:branch:ref:main`.

    Source: GitLab, OpenID Connect authentication using ID tokens, "Token payload".
    """

    project: Annotated[
        str,
        text(
            '"group/name", with subgroups if there are any; no "*"',
            r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,20}",
        ),
    ]
    branch: Annotated[str, BRANCH]
    url: Annotated[str, GITLAB_URL]
    audience: Annotated[
        str, text(AUDIENCE.allowed, "[A-Za-z0-9._:/-]{1,255}", default=Computed("the url", lambda of: of["url"]))
    ]
    provider: Annotated[str, PROVIDER]


class Oidc(TypedDict):
    """Any other issuer of OpenID Connect tokens, with the subject as it is in them."""

    url: Annotated[str, URL]
    audience: Annotated[str, AUDIENCE]
    subject: Annotated[
        str,
        text('the whole subject: 1 to 255 printable ASCII characters, no "*", "?" and "$"', "(?!.*[*?$])[ -~]{1,255}"),
    ]
    provider: Annotated[str, PROVIDER]


class CiAccessKeys(TypedDict):
    """One of them."""

    github: NotRequired[GitHub]
    gitlab: NotRequired[GitLab]
    oidc: NotRequired[Oidc]


KINDS: dict[str, Any] = {"github": GitHub, "gitlab": GitLab, "oidc": Oidc}


@dataclass(frozen=True)
class Trust:
    """Who may assume the role: the bearer of a token of this issuer, for this audience, about this subject."""

    url: str
    audience: str
    subject: str
    creates_provider: bool

    @property
    def issuer(self) -> str:
        """The URL as IAM names the provider, and the keys of its conditions: without `https://`."""
        return self.url.removeprefix("https://")


def configured_ci_access(context: object) -> Trust | None:
    """Whom CI's role trusts, from what `node.try_get_context("ciAccess")` returns; None where it is not configured.

    Raises InvalidConfiguration.
    """
    problems: list[str] = []
    trust = _ci_access(parsed("ciAccess", context, problems), problems)
    refuse(problems)
    return trust


def _ci_access(given: object, problems: list[str]) -> Trust | None:
    if given is NOTHING or given is NO_JSON:
        return None
    read_object("ciAccess", given, CiAccessKeys, problems, _where())
    if not isinstance(given, Mapping):
        return None
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        found = " and ".join(map(shown, kinds)) or "none of them"
        problems.append(problem("ciAccess", found, f"exactly one of {', '.join(KINDS)}"))
        return None
    (kind,) = kinds
    path = path_of("ciAccess", kind)
    valid = read_object(path, given[kind], KINDS[kind], problems, {})
    if (
        kind == "github"
        and isinstance(given[kind], Mapping)
        and ("branch" in given[kind]) == ("environment" in given[kind])
    ):
        found = "both branch and environment" if "branch" in given[kind] else "neither branch nor environment"
        problems.append(problem(path, found, "one of the two: the token of a job with an environment names no branch"))
    if problems:
        return None
    url = valid.get("url", GITHUB_URL)
    return Trust(url, valid["audience"], _subject(kind, valid), valid["provider"] == "create")


def _subject(kind: str, valid: Mapping[str, Any]) -> str:
    match kind:
        case "github" if "environment" in valid:
            return f"repo:{valid['repository']}:environment:{valid['environment']}"
        case "github":
            return f"repo:{valid['repository']}:ref:refs/heads/{valid['branch']}"
        case "gitlab":
            return f"project_path:{valid['project']}:ref_type:branch:ref:{valid['branch']}"
        case _:
            return str(valid["subject"])


def _where() -> dict[str, str]:
    """For a key that was written one level too high."""
    return {
        key: " or ".join(
            path_of(path_of("ciAccess", kind), key) for kind in KINDS if key in get_type_hints(KINDS[kind])
        )
        for hints in map(get_type_hints, KINDS.values())
        for key in hints
    }
