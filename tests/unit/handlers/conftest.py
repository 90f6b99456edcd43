"""An account with a pair, and the lock table, for the handlers that describe and move addresses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws
from moto.core import patch_client

import describe_addresses
from tests.unit.ec2_account import Ec2Account
from tests.unit.handlers.given import configure
from tests.unit.lock_table import LockTable


@pytest.fixture(scope="module")
def account() -> Iterator[Ec2Account]:
    with mock_aws():
        patch_client(describe_addresses.ec2)  # made at import
        yield Ec2Account()


@pytest.fixture(scope="module")
def table(account: Ec2Account) -> LockTable:
    return LockTable()


@pytest.fixture
def ec2(account: Ec2Account, table: LockTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ec2Account:
    account.reset()
    table.clear()
    monkeypatch.setenv("LOCK_TABLE", table.name)
    monkeypatch.setenv("PAIRS_FILE", str(tmp_path / "pairs.json"))
    configure(account, tmp_path)
    return account
