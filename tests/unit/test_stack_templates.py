"""How the templates of CloudFormation's stacks are read: quickly, and only as long as they can be read."""

import pytest
from moto import mock_aws

from aws.stack_templates import stacks_that_move_back
from tests.unit.misbehaving_servers import answering, saying, serving


def test_without_a_stack_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert list(stacks_that_move_back({})) == []


def test_a_stack_that_was_deleted_moves_nothing() -> None:
    with mock_aws():
        assert list(stacks_that_move_back({"deleted": ["Production"]})) == []


def test_the_first_template_that_cannot_be_read_is_a_warning_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    error = b"<ErrorResponse><Error><Code>InternalFailure</Code><Message>not now</Message></Error></ErrorResponse>"
    with serving(answering(saying(error).replace(b"200 OK", b"500 Broken"))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://{server.ip}:{server.port}")
        warnings = list(stacks_that_move_back({"base": ["Production"], "web": ["Tao"]}))
    assert warnings == [
        "Cannot tell whether the CloudFormation stack base may move an address back: GetTemplate failed with "
        "InternalFailure: not now. Check its template as docs/limits.md says."
    ]
    assert len(server.requests) == 1, "no second try"
