"""A fresh account for each test, with a web server behind each address that answers as its holder does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.account import Account, Aws
from tests.workflow.ec2_calls import EC2Calls, watched
from tests.workflow.engine import corrected_engine
from tests.workflow.web import Web

# What is to be told of the fault matrix.
MATRIX = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if MATRIX in config.stash:
        terminalreporter.write_line(config.stash[MATRIX])


@pytest.fixture(scope="session")
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.fixture(scope="session")
def account(template: dict[str, Any]) -> Iterator[Account]:
    with corrected_engine():
        yield Account(template)


@pytest.fixture
def aws(account: Account, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Production on bittybot, staging on tao, both well."""
    aws = Aws(account, tmp_path, monkeypatch, (web.production_ip, web.staging_ip))
    aws.configure(port=web.port)
    web.serve(aws)
    return aws


@pytest.fixture
def ec2_calls(aws: Aws) -> Iterator[EC2Calls]:
    """The calls that the handlers make to EC2 in this test."""
    with watched(aws.production, aws.staging) as calls:
        yield calls
