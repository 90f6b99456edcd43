"""The Region from the environment and the profile, and settings that the SDK cannot use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from client.account import Account
from client.commands import main
from tests.unit.client_doubles import Service, session

Settings = Callable[..., None]
ROLE = "role_arn = arn:aws:iam::111122223333:role/x"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Sets the AWS variables to these and no others, with `{}` as the test's folder, and writes the profile `ci`."""

    def settings(variables: dict[str, str], profile: str = "") -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        (tmp_path / "config").write_text(f"[profile ci]\n{profile}\n".replace("{}", str(tmp_path)))
        (tmp_path / "latin-1").write_bytes(b"\xe9")
        files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        # Whatever goes wrong, no call leaves this machine.
        offline = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        for name, value in {**files, **offline, **variables}.items():
            monkeypatch.setenv(name, value.replace("{}", str(tmp_path)))

    return settings


@pytest.mark.parametrize(
    ("variables", "profile", "region"),
    [
        ({"AWS_REGION": "eu-central-1"}, "", "eu-central-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "us-east-1"}, "", "eu-central-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_PROFILE": "ci"}, "region = us-east-1", "eu-central-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1", "AWS_PROFILE": "ci"}, "region = us-east-2", "us-east-1"),
        ({"AWS_PROFILE": "ci"}, "region = us-east-2", "us-east-2"),
    ],
)
def test_the_region_is_the_region_that_the_aws_cli_v2_finds(
    settings: Settings, variables: dict[str, str], profile: str, region: str
) -> None:
    settings(variables, profile)
    assert Account().region == region


KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
CI = {"AWS_PROFILE": "ci"}
WEB_IDENTITY = {"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/x"}


@pytest.mark.parametrize(
    ("variables", "profile", "says"),
    [
        (WEB_IDENTITY | {"AWS_WEB_IDENTITY_TOKEN_FILE": "{}/none"}, "", "No such file or directory: '{}/none'"),
        (WEB_IDENTITY | {"AWS_WEB_IDENTITY_TOKEN_FILE": "{}"}, "", "Is a directory: '{}'"),
        (WEB_IDENTITY | {"AWS_WEB_IDENTITY_TOKEN_FILE": "{}/latin-1"}, "", "UnicodeDecodeError"),
        (CI, f"{ROLE}\nweb_identity_token_file = {{}}/none", "No such file or directory: '{}/none'"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "{}/none"}, "", "role_arn"),
        (CI, "credential_process = {}/none", "No such file or directory: '{}/none'"),
        (CI, "credential_process = {}", "Permission denied: '{}'"),
        (CI, "credential_process = echo no", "JSONDecodeError"),
        (CI, "credential_process = echo []", "AttributeError"),
        (CI, "credential_process = 'x", "No closing quotation"),
        (CI, "credential_process = false", "custom-process"),
        (KEYS | {"AWS_ENDPOINT_URL": "localhost:4566"}, "", "Invalid endpoint: localhost:4566"),
        (KEYS | {"AWS_ENDPOINT_URL": "http://["}, "", "cannot use its settings"),
        (KEYS | CI | {"AWS_ENDPOINT_URL": ""}, "endpoint_url = localhost:4566", "Invalid endpoint: localhost:4566"),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "soon"}, "", "soon"),
        (KEYS | {"AWS_REGION": "eu west"}, "", "eu west"),
        ({"AWS_ACCESS_KEY_ID": "x"}, "", "The environment lacks AWS_SECRET_ACCESS_KEY"),
        (CI, "aws_access_key_id = x", "lacks aws_secret_access_key"),
        (CI, ROLE, "The profile (AWS_PROFILE, else default; assume-role) lacks source_profile or credential_source"),
        (CI, f"{ROLE}\nsource_profile = nobody", "nobody"),
        (CI, f"{ROLE}\ncredential_source = nowhere", "nowhere"),
        (CI, f"{ROLE}\nsource_profile = ci", "ci"),
        (CI, "sso_session = nobody\nsso_account_id = 111122223333\nsso_role_name = x", "nobody"),
        (CI, "no value", "{}/config"),
        ({"AWS_PROFILE": "nobody"}, "", "nobody"),
    ],
)  # fmt: skip
def test_settings_that_the_sdk_cannot_use_are_one_line(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    variables: dict[str, str],
    profile: str,
    says: str,
) -> None:
    settings({"AWS_REGION": "eu-central-1"} | variables, profile)
    assert main(["status"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says.replace("{}", str(tmp_path)) in err
    assert "There are no AWS credentials" not in err


def test_credentials_that_become_unusable_while_following_do_not_stop_the_execution(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = FileNotFoundError(2, "No such file or directory", "/run/token")
    states = Service(start_execution={}, describe_execution=gone)
    assert main(["start", "--name", "x"], session=session(stepfunctions=states)) == 1
    err = capsys.readouterr().err
    assert "It continues: arn:aws:states:" in err
    assert "'/run/token'" in err
    assert "Traceback" not in err
