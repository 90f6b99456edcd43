"""How the templates of CloudFormation's stacks are read: quickly, and only as long as they can be read."""

import time
from collections.abc import Callable

import pytest
from moto import mock_aws

from aws.stack_templates import stacks_that_move_back
from tests.unit.misbehaving_servers import Server, answering, dripping, in_turn, saying, serving

WarningsOf = Callable[[Server], list[str]]
MOVING = "Resources: {Back: {Type: AWS::EC2::EIPAssociation, Properties: {EIP: !Ref Production, InstanceId: !Ref Tao}}}"


def test_without_a_stack_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert list(stacks_that_move_back({})) == []


def test_a_stack_that_was_deleted_moves_nothing() -> None:
    with mock_aws():
        assert list(stacks_that_move_back({"deleted": {"Production"}})) == []


@pytest.fixture
def warnings_of(monkeypatch: pytest.MonkeyPatch) -> WarningsOf:
    """The warnings if this server answers in place of CloudFormation. One stack is `base`, the other `web`."""

    def warnings(server: Server) -> list[str]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://{server.ip}:{server.port}")
        return list(stacks_that_move_back({"base": {"Production"}, "web": {"Tao"}}))

    return warnings


def unknown(stacks: str, why: str) -> str:
    cannot = "Cannot tell whether these CloudFormation stacks may move an address back"
    return f"{cannot}: {stacks} ({why}). Check their templates as docs/limits.md says."


def answer(template: str) -> bytes:
    result = f"<GetTemplateResult><TemplateBody>{template}</TemplateBody></GetTemplateResult>"
    return saying(f"<GetTemplateResponse>{result}</GetTemplateResponse>".encode(), b"Connection: close")


def test_templates_that_cannot_be_read_are_one_warning(warnings_of: WarningsOf) -> None:
    error = b"<ErrorResponse><Error><Code>InternalFailure</Code><Message>not now</Message></Error></ErrorResponse>"
    with serving(answering(saying(error, b"Connection: close").replace(b"200 OK", b"500 Broken"))) as server:
        assert warnings_of(server) == [unknown("base, web", "the first failure: InternalFailure: not now")]
    assert len(server.requests) == 2, "no second try"


def test_what_is_known_after_2_s_is_reported_and_what_is_not_is_one_warning(warnings_of: WarningsOf) -> None:
    slowly = dripping(answer("Resources: {}"), seconds=0.2)
    with serving(in_turn(answering(answer(MOVING)), slowly)) as server:
        begin = time.monotonic()
        moving, unread = warnings_of(server)
        assert time.monotonic() - begin < 4
    assert "stack base may move an address back when it is updated, because of its resource Back." in moving
    assert unread == unknown("web", "not read within 2 s")


def test_a_template_that_cannot_be_parsed_does_not_hide_another(warnings_of: WarningsOf) -> None:
    with serving(in_turn(answering(answer("AWS::EC2::EIP: [")), answering(answer(MOVING)))) as server:
        moving, unread = warnings_of(server)
    assert "stack web may move" in moving
    assert unread.startswith(unknown("base", "the first failure: while parsing").partition(")")[0])
