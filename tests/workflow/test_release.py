"""A release in one execution: it is deployed to the idle server, checked, and cut over to."""

import pytest

from local.systems_manager_agents import Command
from local.systems_manager_runs import Result
from tests.workflow.account import Aws
from tests.workflow.web import Web

DEPLOY = {"command": "/opt/web/deploy", "timeoutSeconds": 60}


@pytest.fixture
def web_server(aws: Aws, web: Web) -> Web:
    """The pair `web` has a deploy command, which makes its server answer with the release."""
    aws.configure(port=web.port, pair={"deploy": DEPLOY}, releaseHeader="X-Release")
    for server in ("bittybot", "tao"):
        web.headers[server]["X-Release"] = "6"

    def deploy(command: Command) -> Result:
        web.headers[command.parameters["Server"]]["X-Release"] = command.parameters["Release"]
        return Result(output=f"Unpacking\nrelease {command.parameters['Release']} runs\n", seconds=5)

    aws.systems_manager.runs(deploy, step="deploy")
    return web


def test_a_release_is_deployed_and_becomes_live(aws: Aws, web_server: Web) -> None:
    ended = aws.execute({"release": "7"})
    assert ended.outcome == "CUT_OVER", ended
    assert aws.places == ("tao", "bittybot")
    (command,) = aws.systems_manager.commands
    assert command.parameters["Server"] == "tao"
    assert aws.locks == []
    assert aws.record.releases["tao"]["deployed"] is True
    assert aws.record.rollback_to.server == "bittybot"
