"""What AWS answers becomes rows to paste. A malformed call is never an answer."""

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from tests.acceptance.answers import Answers, ask, other_endpoint, unanswered
from tests.acceptance.facts import FACTS, read_facts
from tests.acceptance.test_question_of_iam import lacks_of
from tests.unit.test_aws_facts import SEEN
from tests.unit.test_documents import PROJECT

DOCUMENTED = "[AssociateAddress](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateAddress.html)"
DAY = date(2026, 12, 1)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "AnAction")


def failing(error: Exception) -> None:
    raise error


def test_an_error_code_is_an_answer_and_so_is_a_call_that_is_not_there() -> None:
    assert ask(lambda: 7) == (7, "no error")
    for code in ("DryRunOperation", "UnauthorizedOperation", "InvalidAction"):
        assert ask(lambda: failing(client_error(code))) == (None, code)  # noqa: B023
    unreachable = EndpointConnectionError(endpoint_url="http://x")
    assert ask(lambda: failing(unreachable)) == (None, "EndpointConnectionError")


@pytest.mark.parametrize("error", [ParamValidationError(report="no"), client_error("MissingParameter")])
def test_a_malformed_call_fails(error: Exception) -> None:
    with pytest.raises(type(error)):
        ask(lambda: failing(error))


@pytest.mark.parametrize(
    ("endpoint", "is_aws"),
    [
        ("https://ec2.eu-central-1.amazonaws.com", True),
        ("https://ec2.cn-north-1.amazonaws.com.cn", True),
        ("https://ec2.eu-central-1.api.aws", True),
        ("http://127.0.0.1:4566", False),
        ("https://amazonaws.com.example.com", False),
        ("https://ec2.example.com", False),
    ],
)
def test_an_endpoint_that_is_not_awss_own_is_named(endpoint: str, is_aws: bool) -> None:
    assert other_endpoint(endpoint) == (None if is_aws else endpoint)


def test_an_answer_is_the_row_of_the_document_with_its_last_column_replaced(tmp_path: Path) -> None:
    answers = Answers("eu-central-1", None, DAY)
    answers.add("dry-run", "a | b\n  c")
    (fact,) = read_facts(answers.rows()).values()
    before = FACTS["dry-run"]
    assert (fact.id, fact.fact, fact.rests, fact.is_asked) == (before.id, before.fact, before.rests, before.is_asked)
    assert fact.known == f"seen on AWS on 2026-12-01, eu-central-1: a / b c. See {DOCUMENTED}"
    assert SEEN.fullmatch(fact.known)
    answers.write(tmp_path / "folder" / "answers.md")
    assert (tmp_path / "folder" / "answers.md").read_text() == answers.rows()


def test_an_answer_of_another_endpoint_cannot_pass_for_one_of_aws() -> None:
    answers = Answers("eu-central-1", "http://127.0.0.1:4566", DAY)
    answers.add("dry-run", "x")
    assert "| answered by http://127.0.0.1:4566, not by AWS, on 2026-12-01: x. See [" in answers.rows()
    assert "seen on AWS" not in answers.rows()


def test_a_row_that_was_seen_keeps_its_link_when_it_is_seen_again() -> None:
    answers = Answers("eu-central-1", None, DAY)
    answers.add("dry-run", "x")
    (fact,) = read_facts(answers.rows()).values()
    assert fact.sources == FACTS["dry-run"].sources == DOCUMENTED
    assert FACTS["time-of-a-move"].sources == ""


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "UnauthorizedOperation",
        "InvalidAction",
        "UnknownOperationException",
        "RequestLimitExceeded",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "ResponseParserError",
    ],
)
def test_a_call_that_was_denied_or_is_unknown_or_timed_out_does_not_answer_the_question(code: str) -> None:
    assert unanswered({"a move": "DryRunOperation", "a disassociation": code}) == f"a disassociation: `{code}`"


def test_an_error_about_what_was_asked_is_an_answer() -> None:
    codes = ("no error", "DryRunOperation", "InvalidAllocationID.NotFound", "InvalidName", "Resource.AlreadyAssociated")
    assert unanswered(dict(zip("abcde", codes, strict=True))) == ""


def test_a_question_without_an_answer_has_a_line_apart_from_the_rows() -> None:
    answers = Answers("eu-central-1", None, DAY)
    answers.add("dry-run", "a move: `UnauthorizedOperation`", lacks="a move: `UnauthorizedOperation`")
    assert answers.rows() == ""
    assert answers.unanswered() == "no answer: dry-run: a move: `UnauthorizedOperation`\n"


def test_a_refusal_by_iam_is_an_answer_only_if_the_role_may_do_it_with_everything() -> None:
    denied, passed = "UnauthorizedOperation", "DryRunOperation"
    assert lacks_of({"everything": passed, "less": denied}) == ""
    assert lacks_of({"everything": denied, "less": denied}) == f"everything: `{denied}`"
    assert lacks_of({"everything": passed, "less": "AccessDenied"}) == "less: `AccessDenied`"


def questions() -> Iterator[str]:
    """The ids of the answers that the suite adds."""
    for path in (PROJECT / "tests" / "acceptance").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "answers.add":
                yield ast.literal_eval(node.args[0])


def test_every_question_has_a_row_and_every_row_with_a_question_mark_a_question() -> None:
    assert set(questions()) == {fact.id for fact in FACTS.values() if fact.is_asked}
