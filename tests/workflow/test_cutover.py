"""The main job: who holds which address after an execution, and what it says."""

from tests.workflow.engine import Aws
from tests.workflow.web import Web, sick, sick_as_production


def test_the_idle_server_becomes_live_and_the_live_server_idle(aws: Aws) -> None:
    execution = aws.execute({})

    assert (execution.status, execution.cause) == ("SUCCEEDED", None)
    assert execution.output["outcome"] == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")
