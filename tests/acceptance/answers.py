"""What AWS answered to the questions: rows that replace those of docs/aws-facts.md, in one block after a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from tests.acceptance.facts import FACTS, Fact

FOLDER = Path(__file__).resolve().parent.parent.parent / ".local" / "acceptance"
FILE = FOLDER / "answers.md"
AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")
# The caller's own mistake, never a fact about AWS.
MALFORMED = ("MalformedPolicyDocument", "MissingParameter", "UnknownParameter", "ValidationError")
# AWS did not answer the question: the caller may not ask it, or the service does not know the action, or was busy.
UNANSWERED = {
    "AccessDenied", "AccessDeniedException", "AuthFailure", "AuthorizationError", "AuthorizationErrorException",
    "ExpiredToken", "ExpiredTokenException", "InternalError", "InternalFailure", "InternalServerError", "InvalidAction",
    "InvalidClientTokenId", "OptInRequired", "RequestLimitExceeded", "ServiceUnavailable", "SignatureDoesNotMatch",
    "Throttling", "ThrottlingException", "TooManyRequestsException", "UnauthorizedOperation", "Unavailable",
    "UnknownAction", "UnknownOperation", "UnknownOperationException", "UnrecognizedClientException",
    "UnsupportedOperation", "UnsupportedOperationException",
}  # fmt: skip
OF_BOTOCORE = {ResponseParserError.__name__, *(name for name in dir(exceptions) if name.endswith("Error"))}
NO_ERROR = "no error"
T = TypeVar("T")


def ask(call: Callable[[], T]) -> tuple[T | None, str]:
    """What AWS answers, and `no error`; or nothing, and its error code. Raises if the call itself is malformed."""
    try:
        return call(), NO_ERROR
    except ParamValidationError:
        raise
    except (BotoCoreError, ResponseParserError) as error:
        return None, type(error).__name__
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code in MALFORMED:
            raise
        return None, code


def unanswered(codes: Mapping[str, str]) -> str:
    """The first of these calls, by what was asked, whose code says nothing about the question; empty if all do."""
    failures = (f"{what}: `{code}`" for what, code in codes.items() if code in UNANSWERED or code in OF_BOTOCORE)
    return next(failures, "")


def other_endpoint(endpoint: str) -> str | None:
    """An endpoint that is not AWS's own; None if it is."""
    return None if (urlsplit(endpoint).hostname or "").endswith(AWS_DOMAINS) else endpoint


class Answers:
    """The answers of one run. `endpoint` is the one that was asked, if it is not AWS's own."""

    def __init__(self, region: str, endpoint: str | None, day: date | None = None) -> None:
        day = day or datetime.now(UTC).date()
        self._source = (
            f"answered by {endpoint}, not by AWS, on {day}" if endpoint else f"seen on AWS on {day}, {region}"
        )
        self._facts: list[Fact] = []
        self._unanswered: list[str] = []

    def add(self, id_: str, answer: str, *, lacks: str = "") -> None:
        """An answer to the question of this id. If AWS did not answer it, `lacks` says why, and there is no row."""
        if lacks:
            self._unanswered.append(f"no answer: {id_}: {lacks}")
            return
        fact = FACTS[id_]
        answer = re.sub(r"\s+", " ", answer.replace("|", "/")).strip()
        sources = f". See {fact.sources}" if fact.sources else ""
        self._facts.append(replace(fact, known=f"{self._source}: {answer}{sources}"))

    def rows(self) -> str:
        """The rows, ready to be pasted; empty if nothing was answered."""
        return "".join(f"{fact.row()}\n" for fact in self._facts)

    def unanswered(self) -> str:
        """A line for each question that AWS did not answer; empty if there is none."""
        return "".join(f"{line}\n" for line in self._unanswered)

    def write(self, file: Path = FILE) -> None:
        """The rows as a file, for CI."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.rows())
