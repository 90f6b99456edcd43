"""The context value `ciAccess` of cdk.json: which jobs of which CI system may start the workflow, without stored keys.

The role trusts tokens (OpenID Connect) of one issuer, for one audience, about one subject: a wildcard would let in
others. To add a CI system, add a section with `url`, `audience`, `subject` and `provider`, and a key in `CiAccess`.
"""

from typing import Annotated, ClassVar, Literal, cast

from pydantic import Field

from stacks.configuration.allowed import Allowed, Section, exactly_one, section, text

OWNER, REPOSITORY_NAME, ID = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "[A-Za-z0-9._-]{1,100}", "@[0-9]{1,20}"
GROUP_AND_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,20}"
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_URL = rf"https://(?:{LABEL}\.)+{LABEL}"
# IAM's provider URL: https, no port, no query; its audiences have up to 255 characters.
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
URL_WORDS = 'the issuer\'s "https://" URL in lower case, without port, query and a "/" at the end'
GITLAB_URL, ISSUER_URL = text(URL_WORDS, HOST_URL), text(URL_WORDS, rf"{HOST_URL}(?:/[A-Za-z0-9._~-]+){{0,10}}")
AUDIENCE = text('1 to 255 letters, digits and characters of ._:/-, no "*"', "[A-Za-z0-9._:/-]{1,255}")
SUBJECT = text('the whole subject: 1 to 255 printable ASCII characters, no "*", "?" and "$"', "[ -#%-)+->@-~]{1,255}")
BRANCH = text(
    'one branch: 1 to 255 letters, digits and characters of ._/+@#-, no "*"', "[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,254}"
)
ENVIRONMENT = text(
    'one environment: 1 to 255 letters, digits, spaces and characters of ._/-, no "*"',
    "[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{0,253}[A-Za-z0-9._/-])?",
)
REPOSITORY = text(
    '"owner/name", or "owner@id/name@id" where the token has GitHub\'s immutable ids; no "*"',
    f"{OWNER}/{REPOSITORY_NAME}|{OWNER}{ID}/{REPOSITORY_NAME}{ID}",
)
PROJECT = text('"group/name", with subgroups if there are any; no "*"', GROUP_AND_NAME)
PROVIDER = Allowed('"existing", if the account has a provider of this URL already (it can have one), or "create"')
Provider = Annotated[Literal["existing", "create"], PROVIDER]


class GitHub(Section):
    """A repository's jobs on one branch, or in one environment.

    Repositories made or renamed since 15 July 2026 have ids in their subject. Sources: GitHub, OpenID Connect
    reference; changelog of 23 April 2026, "Immutable subject claims for GitHub Actions OIDC tokens".
    """

    url: ClassVar[str] = "https://token.actions.githubusercontent.com"
    repository: Annotated[str, REPOSITORY]
    branch: Annotated[str | None, BRANCH] = None
    """Or `environment`, one of the two: the token of a job with an environment names no branch."""
    environment: Annotated[str | None, ENVIRONMENT] = None
    audience: Annotated[str, AUDIENCE] = "sts.amazonaws.com"
    """What `configure-aws-credentials` asks for."""
    provider: Provider = "existing"

    @property
    def subject(self) -> str:
        job = f"ref:refs/heads/{self.branch}" if self.branch else f"environment:{self.environment}"
        return f"repo:{self.repository}:{job}"


class GitLab(Section):
    """A project's jobs on one branch. Source: GitLab, OpenID Connect authentication with ID tokens, "Token payload"."""

    project: Annotated[str, PROJECT]
    branch: Annotated[str, BRANCH]
    url: Annotated[str, GITLAB_URL] = "https://gitlab.com"
    """Of your GitLab."""
    audience: Annotated[str, AUDIENCE] = Field(default_factory=lambda valid: valid["url"])
    """What the job asks for in `id_tokens`. Default: the url"""
    provider: Provider = "existing"

    @property
    def subject(self) -> str:
        return f"project_path:{self.project}:ref_type:branch:ref:{self.branch}"


class Oidc(Section):
    """Any other issuer of OpenID Connect tokens, with what is in them."""

    url: Annotated[str, ISSUER_URL]
    audience: Annotated[str, AUDIENCE]
    subject: Annotated[str, SUBJECT]
    provider: Provider = "existing"


Issuer = GitHub | GitLab | Oidc


class CiAccess(Section):
    """One of them."""

    github: Annotated[GitHub | None, section(GitHub, rule=exactly_one("branch", "environment"))] = None
    gitlab: Annotated[GitLab | None, section(GitLab)] = None
    oidc: Annotated[Oidc | None, section(Oidc)] = None

    @property
    def issuer(self) -> Issuer:
        return self.github or self.gitlab or cast(Oidc, self.oidc)
