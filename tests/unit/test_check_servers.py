"""CheckServers: the status checks of the server that is to become live."""

import json
from pathlib import Path
from typing import Any

import pytest

from check_servers import create_handler
from domain.errors import PreflightFailed
from tests.unit.example_pair import TAO, WEB
from tests.unit.handler_calls import CONTEXT
from tests.unit.test_servers import FakeEc2


@pytest.fixture(autouse=True)
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair `web`, the longest deadline of whose checks is 4 s: shorter than the pause before a second look."""
    file = tmp_path / "pairs.json"
    pair: dict[str, Any] = {"production": WEB.production, "staging": WEB.staging, "bakeSeconds": 0, "alarms": []}
    pair["servers"] = {server.name: server.instance_id for server in WEB.servers}
    pair["healthCheck"] = [{"deadlineSeconds": seconds} for seconds in (1, 4, 2)]
    file.write_text(json.dumps({"web": pair}))
    monkeypatch.setenv("PAIRS_FILE", str(file))


def check(ec2: FakeEc2) -> object:
    return create_handler(ec2)({"execution": "cutover-1", "pair": "web", "server": "tao"}, CONTEXT)  # type: ignore[arg-type]


def test_the_named_server_is_checked() -> None:
    ec2 = FakeEc2()
    assert check(ec2) == {"passed": True}
    assert ec2.parameters == {"DescribeInstanceStatus": {"InstanceIds": [TAO.instance_id]}}


def test_status_checks_are_waited_for_as_long_as_the_longest_deadline() -> None:
    with pytest.raises(PreflightFailed, match="did not complete within 4 s"):
        check(FakeEc2(statuses=[{"SystemStatus": "initializing"}]))
