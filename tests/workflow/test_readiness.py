"""The evaluation of a pair: would a cutover work now? It is announced only when the answer changes."""

from tests.workflow.account import Aws
from tests.workflow.web import Web, sick


def test_a_pair_that_could_be_cut_over_is_ready(aws: Aws) -> None:
    assert aws.evaluate().outcome == "READY"
    readiness = aws.record.readiness
    assert readiness
    assert readiness["ready"]
    assert (readiness["reasons"], readiness["warnings"]) == ([], [])
    assert aws.messages == aws.events == []


def test_an_unhealthy_idle_server_is_not_ready_and_that_is_announced(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    assert aws.evaluate().outcome == "NOT_READY"
    readiness = aws.record.readiness
    assert readiness
    assert not readiness["ready"]
    assert "expected status 200, found 500" in readiness["reasons"][0]
    assert [attributes["outcome"] for attributes in aws.attributes] == ["NOT_READY"]
    assert len(aws.events) == 1
