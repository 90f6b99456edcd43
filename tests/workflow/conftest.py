"""A fresh account for each test, with a web server behind each address that answers as its holder does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.engine import Aws, corrected_engine
from tests.workflow.web import Web


@pytest.fixture(scope="session")
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.fixture
def aws(template: dict[str, Any], web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Production on bittybot, staging on tao, both well."""
    with corrected_engine():
        aws = Aws(template, tmp_path, monkeypatch, (web.production_ip, web.staging_ip))
        aws.configure(port=web.port)
        web.serve(aws)
        yield aws
