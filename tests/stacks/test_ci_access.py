"""CI's role: who may assume it, and that it may start and read this workflow and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.configuration.ci import GitHub
from stacks.configuration.settings import configured
from tests.stacks.contexts import OIDC
from tests.stacks.policies import ACCOUNT, REGION, grants, in_account, statements_of
from tests.stacks.synthesis import CONTEXT, resources, template_of

GITHUB = "token.actions.githubusercontent.com"
ON_MAIN = {"repository": "octo-org/octo-repo", "branch": "main"}
EXISTING = {"github": ON_MAIN | {"environment": "production", "repositoryId": "456789", "workflow": "Release"}}
CREATED = {"gitlab": {"project": "o/w", "branch": "main", "provider": "create"}}
HERE = f"{REGION}:{ACCOUNT}"
MACHINE = f"arn:aws:states:{HERE}:stateMachine:eip-cutover"
EXECUTION = f"arn:aws:states:{HERE}:execution:eip-cutover:release-1"
STACK = f"arn:aws:cloudformation:{HERE}:stack/EipCutover/0a1b"
PAIRS = f"arn:aws:ssm:{HERE}:parameter/eip-cutover/pairs"


def synthesized(folder: Path, access: dict[str, Any]) -> dict[str, Any]:
    return template_of(folder, CONTEXT | {"ciAccess": access})


@pytest.mark.parametrize(
    ("access", "url", "audience", "subject"),
    [
        (
            {"github": {"repository": "octo-org/octo-repo", "branch": "main"}},
            f"https://{GITHUB}", "sts.amazonaws.com", "repo:octo-org/octo-repo:ref:refs/heads/main",
        ),
        (
            {"github": {"repository": "o@1/r@2", "environment": "production EU"}},
            f"https://{GITHUB}", "sts.amazonaws.com", "repo:o@1/r@2:environment:production EU",
        ),
        (
            {"gitlab": {"project": "o/w", "branch": "main", "provider": "create"}},
            "https://gitlab.com", "https://gitlab.com", "project_path:o/w:ref_type:branch:ref:main",
        ),
        (
            {"gitlab": {"project": "o/team/w", "branch": "release/1.x", "url": "https://gitlab.example.com"}},
            "https://gitlab.example.com", "https://gitlab.example.com",
            "project_path:o/team/w:ref_type:branch:ref:release/1.x",
        ),
        ({"oidc": OIDC}, OIDC["url"], OIDC["audience"], OIDC["subject"]),
    ],
)  # fmt: skip
def test_the_trust_is_written_as_the_ci_system_writes_its_tokens(
    access: dict[str, Any], url: str, audience: str, subject: str
) -> None:
    configured_access = configured((CONTEXT | {"ciAccess": access}).get).ciAccess
    assert configured_access
    issuer = configured_access.issuer
    assert (issuer.url, issuer.audience, issuer.subject) == (url, audience, subject)
    assert issuer.provider == next(iter(access.values())).get("provider", "existing")


@pytest.mark.parametrize(
    ("access", "job", "claims"),
    [
        (ON_MAIN, "ref:refs/heads/main", {}),
        (
            ON_MAIN | {"environment": "production"},
            "environment:production", {"ref": "refs/heads/main"},
        ),
        (
            {"repository": "octo-org/octo-repo", "environment": "production", "repositoryId": "456789"},
            "environment:production", {"repository_id": "456789"},
        ),
        (
            ON_MAIN | {"workflow": ".github/workflows/release.yml"},
            "ref:refs/heads/main", {"workflow": ".github/workflows/release.yml"},
        ),
    ],
)  # fmt: skip
def test_the_subject_names_branch_or_environment_and_everything_else_is_a_claim(
    access: dict[str, Any], job: str, claims: dict[str, str]
) -> None:
    issuer = GitHub(**access)
    assert (issuer.subject, issuer.claims) == (f"repo:octo-org/octo-repo:{job}", claims)


def role_in(template: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """CI's role: the one in the output, by its logical id."""
    name = template["Outputs"]["CiRoleArn"]["Value"]["Fn::GetAtt"][0]
    return name, template["Resources"][name]["Properties"]


@pytest.fixture(scope="module")
def with_access(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("ci"), EXISTING)


@pytest.fixture(scope="module")
def granted(with_access: dict[str, Any]) -> set[tuple[str, str]]:
    return grants(statements_of(with_access, role_in(with_access)[0]))


def test_only_a_token_of_this_issuer_for_this_audience_about_this_subject_opens_the_role(
    with_access: dict[str, Any],
) -> None:
    _, role = role_in(with_access)
    (statement,) = in_account(role["AssumeRolePolicyDocument"], with_access)["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"},
        "Condition": {
            "StringEquals": {
                f"{GITHUB}:aud": "sts.amazonaws.com",
                f"{GITHUB}:sub": "repo:octo-org/octo-repo:environment:production",
                f"{GITHUB}:ref": "refs/heads/main",
                f"{GITHUB}:repository_id": "456789",
                f"{GITHUB}:workflow": "Release",
            }
        },
    }


def test_an_existing_identity_provider_is_not_created_again(with_access: dict[str, Any]) -> None:
    assert not resources(with_access, "AWS::IAM::OIDCProvider")


def test_a_created_identity_provider_stays_when_the_stack_is_deleted(tmp_path: Path) -> None:
    template = synthesized(tmp_path, CREATED)
    ((name, provider),) = resources(template, "AWS::IAM::OIDCProvider").items()
    assert provider["Properties"] == {"Url": "https://gitlab.com", "ClientIdList": ["https://gitlab.com"]}
    assert (provider["DeletionPolicy"], provider["UpdateReplacePolicy"]) == ("Retain", "Retain")
    (trust,) = role_in(template)[1]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": {"Ref": name}}  # its ARN
    assert trust["Condition"]["StringEquals"].keys() == {"gitlab.com:aud", "gitlab.com:sub"}


def test_the_role_has_exactly_its_documented_permissions(
    granted: set[tuple[str, str]], with_access: dict[str, Any]
) -> None:
    (table,) = resources(with_access, "AWS::DynamoDB::Table")
    assert granted == {
        ("states:StartExecution", MACHINE),
        ("states:ListExecutions", MACHINE),
        ("states:DescribeExecution", f"arn:aws:states:{HERE}:execution:eip-cutover:*"),
        ("states:DescribeExecution", f"arn:aws:states:{HERE}:execution:eip-cutover-repair:*"),
        ("states:GetExecutionHistory", f"arn:aws:states:{HERE}:execution:eip-cutover:*"),
        ("states:DescribeStateMachineForExecution", f"arn:aws:states:{HERE}:execution:eip-cutover:*"),
        ("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{HERE}:stack/EipCutover/*"),
        ("ssm:GetParametersByPath", PAIRS),
        ("ssm:GetParametersByPath", f"{PAIRS}/*"),
        ("dynamodb:Scan", f"arn:aws:dynamodb:{HERE}:table/{table}"),
        ("ec2:DescribeAddresses", "*"),
    }


def test_without_ci_access_the_stack_has_no_role_for_ci(template: dict[str, Any]) -> None:
    assert "CiRoleArn" not in template["Outputs"]
    assert "AssumeRoleWithWebIdentity" not in json.dumps(template)
