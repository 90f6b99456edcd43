"""What a person may write under `ciAccess` in cdk.json, whom the role then trusts, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.configuration.ci_access import Trust, configured_ci_access
from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured

PROJECT = Path(__file__).parents[2]
GITHUB = {"repository": "octo-org/octo-repo", "branch": "main"}
GITLAB = {"project": "octo-group/team/web", "branch": "main"}
OIDC = {"url": "https://token.example.com/issuer", "audience": "sts.amazonaws.com", "subject": "job:web:main"}


def test_the_jobs_of_a_branch_on_github_are_trusted_and_no_others() -> None:
    assert configured_ci_access({"github": GITHUB}) == Trust(
        "https://token.actions.githubusercontent.com",
        "sts.amazonaws.com",
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        creates_provider=False,
    )


@pytest.mark.parametrize(
    ("context", "subject"),
    [
        (
            {"github": {"repository": "octo-org/octo-repo", "environment": "production EU"}},
            "repo:octo-org/octo-repo:environment:production EU",
        ),
        (
            {"github": {"repository": "octo-org@123456/octo-repo@456789", "branch": "release/1.x"}},
            "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/release/1.x",
        ),
        ({"gitlab": GITLAB}, "project_path:octo-group/team/web:ref_type:branch:ref:main"),
        ({"oidc": OIDC}, "job:web:main"),
        (json.dumps({"gitlab": GITLAB}), "project_path:octo-group/team/web:ref_type:branch:ref:main"),
    ],
)
def test_the_subject_is_written_as_the_ci_system_writes_it(context: object, subject: str) -> None:
    trust = configured_ci_access(context)
    assert trust is not None
    assert trust.subject == subject


def test_a_gitlab_of_ones_own_is_its_own_audience() -> None:
    trust = configured_ci_access({"gitlab": GITLAB | {"url": "https://gitlab.example.com", "provider": "create"}})
    assert trust is not None
    assert (trust.url, trust.audience, trust.issuer, trust.creates_provider) == (
        "https://gitlab.example.com",
        "https://gitlab.example.com",
        "gitlab.example.com",
        True,
    )


def test_no_access_for_ci_is_needed() -> None:
    assert configured_ci_access(None) is None


REPOSITORY, BRANCH = '"owner/name", or "owner@id/name@id"', "one branch"
BAD: dict[str, tuple[object, str, str, str]] = {
    "a list": ([], "ciAccess", "[]", "an object with the keys github, gitlab, oidc"),
    "text that is no JSON": ("{", "ciAccess", "text that is not JSON", "an object as JSON"),
    "an empty object": ({}, "ciAccess", "none of them", "exactly one of github, gitlab, oidc"),
    "two CI systems": ({"github": GITHUB, "gitlab": GITLAB}, "ciAccess", '"github" and "gitlab"', "exactly one"),
    "null": ({"github": None}, "ciAccess.github", "null", "an object with the keys repository, branch"),
    "any repository of an owner": (
        {"github": GITHUB | {"repository": "octo-org/*"}}, "ciAccess.github.repository", '"octo-org/*"', REPOSITORY,
    ),
    "any repository": ({"github": GITHUB | {"repository": "*"}}, "ciAccess.github.repository", '"*"', REPOSITORY),
    "an owner alone": ({"github": GITHUB | {"repository": "octo"}}, "ciAccess.github.repository", "octo", REPOSITORY),
    "one id of two": (
        {"github": GITHUB | {"repository": "octo-org@1/octo-repo"}}, "ciAccess.github.repository", "@1", REPOSITORY,
    ),
    "a repository that goes on": (
        {"github": GITHUB | {"repository": "octo-org/octo-repo:ref:refs/heads/main"}},
        "ciAccess.github.repository", "octo-repo:ref", REPOSITORY,
    ),
    "any branch": ({"github": GITHUB | {"branch": "*"}}, "ciAccess.github.branch", '"*"', BRANCH),
    "a variable of IAM": ({"github": GITHUB | {"branch": "${aws:x}"}}, "ciAccess.github.branch", "${aws", BRANCH),
    "a line break": ({"github": GITHUB | {"branch": "main\n"}}, "ciAccess.github.branch", "\\n", BRANCH),
    "no branch": ({"github": {"repository": "o/r"}}, "ciAccess.github", "neither branch nor environment", "one of the"),
    "branch and environment": (
        {"github": GITHUB | {"environment": "production"}}, "ciAccess.github", "both branch and environment", "one of",
    ),
    "any environment": (
        {"github": {"repository": "o/r", "environment": "*"}}, "ciAccess.github.environment", '"*"', "one environment",
    ),
    "a provider of another kind": (
        {"github": GITHUB | {"provider": "new"}}, "ciAccess.github.provider", '"new"', '"existing", if the account',
    ),
    "an unknown key": (
        {"github": GITHUB | {"Repository": "o/r"}}, "ciAccess.github.Repository", "an unknown key", '"repository"?',
    ),
    "a group alone": ({"gitlab": GITLAB | {"project": "octo"}}, "ciAccess.gitlab.project", "octo", '"group/name"'),
    "any project": ({"gitlab": GITLAB | {"project": "octo/*"}}, "ciAccess.gitlab.project", "octo/*", '"group/name"'),
    "no branch of GitLab": ({"gitlab": {"project": "octo/web"}}, "ciAccess.gitlab.branch", "nothing", BRANCH),
    "an issuer with a port": (
        {"oidc": OIDC | {"url": "https://example.com:8443"}}, "ciAccess.oidc.url", ":8443", "without port",
    ),
    "an issuer with a slash at its end": (
        {"oidc": OIDC | {"url": "https://example.com/"}}, "ciAccess.oidc.url", "com/", "without port",
    ),
    "an issuer without TLS": ({"oidc": OIDC | {"url": "http://a.example"}}, "ciAccess.oidc.url", "http:", "https://"),
    "no subject": (
        {"oidc": {"url": "https://a.example", "audience": "x"}}, "ciAccess.oidc.subject", "nothing", "whole subject",
    ),
    "a subject with a wildcard": (
        {"oidc": OIDC | {"subject": "job:*"}}, "ciAccess.oidc.subject", '"job:*"', "the whole subject",
    ),
    "any audience": ({"oidc": OIDC | {"audience": "*"}}, "ciAccess.oidc.audience", '"*"', 'no "*"'),
}  # fmt: skip


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BAD.values(), ids=BAD.keys())
def test_a_bad_access_is_refused_with_its_path_and_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured_ci_access(context)
    (problem,) = refused.value.problems
    named, _, rest = problem.partition(": found ")
    was_found, _, is_allowed = rest.rpartition("; allowed: ")
    assert named == path
    assert found in was_found
    assert allowed in is_allowed


def test_the_problems_of_pairs_vpc_access_and_pipeline_are_told_together_each_once() -> None:
    context = {"pairs": {"web": {}}, "vpc": [], "ciAccess": {}, "pipeline": []}
    with pytest.raises(InvalidConfiguration) as refused:
        configured(context.get)
    found = [problem.partition(": found ")[0] for problem in refused.value.problems]
    assert {"pairs.web.production", "pairs.web.staging", "pairs.web.servers", "vpc", "ciAccess", "pipeline"} == set(
        found
    )
    assert len(found) == len(set(found))


def test_synth_refuses_a_bad_access_on_the_command_line_in_words() -> None:
    context = json.loads((PROJECT / "cdk.json").read_text())["context"] | {"ciAccess": '{"github": {}}'}
    app = subprocess.run(
        [sys.executable, "app.py"],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert app.returncode == 1
    assert "ciAccess.github.repository: found nothing; allowed: " in app.stderr
    assert "Traceback" not in app.stderr
