"""The context values `ciAccess` and `pipeline` of cdk.json. `ciAccess`: which jobs of which CI system may start the
workflow. Its role trusts tokens (OpenID Connect) of one issuer, for one audience, about one subject: a wildcard would
admit other jobs. `pipeline`: a CodePipeline that starts the workflow with each release."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, Tag, ValidationInfo, WrapValidator

from stacks.configuration.allowed import FOLLOWS, LEFT_OUT, NAME, Allowed, Section, by_kind, section, some_of, text
from stacks.configuration.problems import problem, shown

OWNER, REPOSITORY_NAME, ID = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "[A-Za-z0-9._-]{1,100}", "@[0-9]{1,20}"
GROUP_AND_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,20}"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_URL = rf"https://(?:{LABEL}\.)+{LABEL}"
# IAM's provider URL: https, no port, no query; its audiences have up to 255 characters.
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
URL_WORDS = 'the issuer\'s "https://" URL in lower case, without a port, a query or a "/" at the end'
GITLAB_URL, ISSUER_URL = text(URL_WORDS, HOST_URL), text(URL_WORDS, rf"{HOST_URL}(?:/[A-Za-z0-9._~-]+){{0,10}}")
AUDIENCE = text('1 to 255 letters, digits and characters of ._:/-, no "*"', "[A-Za-z0-9._:/-]{1,255}")
PRINTABLE = "[ -#%-)+->@-~]{1,255}"
SUBJECT = text('the whole subject: 1 to 255 printable ASCII characters, no "*", "?" or "$"', PRINTABLE)
BRANCH_WORDS = 'one branch: 1 to 255 letters, digits and characters of ._/+@#-, no "*"'
BRANCH = text(BRANCH_WORDS, "[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,254}")
ENVIRONMENT_WORDS = 'one environment: 1 to 255 letters, digits, spaces and characters of ._/-, no "*"'
ENVIRONMENT = text(ENVIRONMENT_WORDS, "[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{0,253}[A-Za-z0-9._/-])?")
REPOSITORY_WORDS = '"owner/name", or "owner@id/name@id" if the token has GitHub\'s immutable ids; no "*"'
REPOSITORY = text(REPOSITORY_WORDS, f"{OWNER}/{REPOSITORY_NAME}|{OWNER}{ID}/{REPOSITORY_NAME}{ID}")
REPOSITORY_ID = text("the repository's number, as a string of 1 to 20 digits", "[0-9]{1,20}")
WORKFLOW = text('one workflow: 1 to 255 printable ASCII characters, no "*", "?" or "$"', PRINTABLE)
PROJECT = text('"group/name", with subgroups if there are any; no "*"', GROUP_AND_NAME)
PROVIDER = Allowed('"existing" if the account already has a provider of this URL (it can have only one), or "create"')
Provider = Annotated[Literal["existing", "create"], PROVIDER]
CONNECTION = "arn:aws[a-z-]*:(?:codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]{36}"
CONNECTION_ARN = text("the ARN of a connection (codeconnections or codestar-connections)", CONNECTION)
REPOSITORY_OF_CONNECTION = text('"owner/name", with subgroups if there are any', GROUP_AND_NAME)
BUCKET_WORDS = "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"
BUCKET = text(BUCKET_WORDS, "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
KEY = text("an object's key: 1 to 1024 letters, digits and characters of !_.'()/-", "[A-Za-z0-9!_.'()/-]{1,1024}")


class GitHub(Section):
    """A repository's jobs on one branch, or in one environment, or both. Repositories made or renamed since 15 July
    2026 have ids in their subject. Sources: GitHub, OpenID Connect reference; changelog of 23 April 2026, "Immutable
    subject claims for GitHub Actions OIDC tokens"."""

    url: ClassVar[str] = "https://token.actions.githubusercontent.com"
    repository: Annotated[str, REPOSITORY]
    branch: Annotated[str | None, BRANCH] = None
    """Optional if there is an `environment`. Without `environment`, a job that has an environment is refused."""
    environment: Annotated[str | None, ENVIRONMENT] = None
    """Optional if there is a `branch`. Without `branch`, GitHub's rules for the environment decide about branches."""
    repositoryId: Annotated[str | None, REPOSITORY_ID] = None
    """The number stays if the repository is renamed. Another repository that takes its name is refused."""
    workflow: Annotated[str | None, WORKFLOW] = None
    """The workflow's `name`, or the path of its file if it has no name."""
    audience: Annotated[str, AUDIENCE] = "sts.amazonaws.com"
    """What `configure-aws-credentials` asks for."""
    provider: Provider = "existing"

    @property
    def subject(self) -> str:
        job = f"environment:{self.environment}" if self.environment else f"ref:refs/heads/{self.branch}"
        return f"repo:{self.repository}:{job}"

    @property
    def claims(self) -> dict[str, str]:
        """What is checked besides audience and subject, which has no branch if the job has an environment. STS does so
        since January 2026 (IAM User Guide, "Available keys for AWS OIDC federation")."""
        ref = f"refs/heads/{self.branch}" if self.branch and self.environment else None
        claims = {"ref": ref, "repository_id": self.repositoryId, "workflow": self.workflow}
        return {claim: value for claim, value in claims.items() if value}


class GitLab(Section):
    """A project's jobs on one branch. Source: GitLab, OpenID Connect authentication with ID tokens, "Token payload"."""

    project: Annotated[str, PROJECT]
    branch: Annotated[str, BRANCH]
    url: Annotated[str, GITLAB_URL] = "https://gitlab.com"
    """The URL of your GitLab."""
    audience: Annotated[str, AUDIENCE] = Field(default_factory=lambda valid: valid["url"])
    """What the job asks for in `id_tokens`. Default: the url"""
    provider: Provider = "existing"

    @property
    def subject(self) -> str:
        return f"project_path:{self.project}:ref_type:branch:ref:{self.branch}"


class Oidc(Section):
    """Any other issuer of OpenID Connect tokens, with the claims of its tokens."""

    url: Annotated[str, ISSUER_URL]
    audience: Annotated[str, AUDIENCE]
    subject: Annotated[str, SUBJECT]
    provider: Provider = "existing"


Issuer = GitHub | GitLab | Oidc  # another needs `url`, `audience`, `subject`, `provider`, and a key in `CiAccess`


class CiAccess(Section):
    """Exactly one CI system."""

    github: Annotated[GitHub | None, section(GitHub, rule=some_of("branch", "environment", most=2))] = None
    gitlab: Annotated[GitLab | None, section(GitLab)] = None
    oidc: Annotated[Oidc | None, section(Oidc)] = None

    @property
    def issuer(self) -> Issuer:
        return self.github or self.gitlab or cast(Oidc, self.oidc)


class Connection(Section):
    """A branch of a Git repository, through a connection."""

    kind: ClassVar[str] = "a connectionArn"
    connectionArn: Annotated[str, CONNECTION_ARN]
    """Create and confirm the connection in the console."""
    repository: Annotated[str, REPOSITORY_OF_CONNECTION]
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
