"""Functions with a Python runtime in ministack, as the CDK and boto3 create them."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from local.emulator import Emulator

HANDLER = """
import os
class NotYet(Exception): pass
def handler(event, context):
    if event == "fail":
        raise NotYet("the server is not ready")
    return [os.getpid(), context.aws_request_id]
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Emulator(ec2_endpoint="http://127.0.0.1:1", folder=tmp_path_factory.mktemp("aws")) as emulator:
        emulator.wait_until_ready()
        yield emulator.client("lambda")


def archive(handler: str) -> bytes:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("function.py", handler)
    return code.getvalue()


def create(aws: Any, name: str) -> None:
    aws.create_function(
        FunctionName=name, Runtime="python3.13", Handler="function.handler", Timeout=20,
        Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": archive(HANDLER)},
    )  # fmt: skip


def result(aws: Any, name: str, event: object = None) -> Any:
    return json.load(aws.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])


def test_an_exception_of_a_python_function_is_reported_by_the_name_of_its_class(aws: Any) -> None:
    create(aws, "failing")
    assert aws.get_function(FunctionName="failing")["Configuration"]["Runtime"] == "python3.13"
    error = result(aws, "failing", "fail")
    assert (error["errorType"], error["errorMessage"]) == ("NotYet", "the server is not ready")


def test_calls_are_answered_by_one_process_until_the_code_changes(aws: Any) -> None:
    create(aws, "warm")
    (process, request), (same, other) = result(aws, "warm"), result(aws, "warm")
    assert (process == same, request == other) == (True, False)
    aws.update_function_code(FunctionName="warm", ZipFile=archive("def handler(event, _): return 'new'"))
    assert result(aws, "warm") == "new"
