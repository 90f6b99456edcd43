"""The runtime API of a function, through which it gets its events and returns its results: only the function may."""

import contextlib
import http.client
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from local.emulator import Emulator

HANDLER = "import os\ndef handler(event, _):\n    return [event, os.environ['AWS_LAMBDA_RUNTIME_API']]\n"
INVOCATION = "/2018-06-01/runtime/invocation"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Emulator(ec2_endpoint="http://127.0.0.1:1", folder=tmp_path_factory.mktemp("aws")) as emulator:
        emulator.wait_until_ready()
        yield emulator.client("lambda")


def create(aws: Any, name: str, handler: str) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", handler)
    aws.create_function(
        FunctionName=name, Runtime="python3.13", Handler="function.handler", Timeout=20,
        Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": code.getvalue()},
    )  # fmt: skip


def result(aws: Any, name: str, event: object) -> Any:
    return json.load(aws.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])


@pytest.fixture(scope="module")
def runtime_api(aws: Any) -> str:
    """What the environment of a running function says: the address, and the secret as a path."""
    create(aws, "mine", HANDLER)
    _, address = result(aws, "mine", 1)
    return str(address)


def answer_of(address: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection(address, timeout=2)) as connection:
        connection.request(method, path, '"forged"' if method == "POST" else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "a web page that knows the secret": ("/{secret}", {"Origin": "http://evil.example"}),
    "a page in a sandbox": ("/{secret}", {"Origin": "null"}),
    "a name that leads here": ("/{secret}", {"Host": "evil.example"}),
    "that name with the port": ("/{secret}", {"Host": "evil.example:{port}"}),
    "another user of the machine": ("", {}),
    "another user who guesses": (f"/{'0' * 64}", {}),
    "a part of the secret": ("/{half}", {}),
    "the secret in another place": ("/x/{secret}", {}),
}


@pytest.mark.parametrize("other", OTHERS)
def test_nobody_else_gets_an_event_or_forges_a_result(aws: Any, runtime_api: str, other: str) -> None:
    address, _, secret = runtime_api.partition("/")
    values = {"secret": secret, "half": secret[:32], "port": address.rpartition(":")[2]}
    prefix, headers = OTHERS[other][0].format(**values), OTHERS[other][1]
    named = {name: value.format(**values) for name, value in headers.items()} | {"Content-Type": "text/plain"}
    for method, path in (
        ("GET", f"{INVOCATION}/next"), ("POST", f"{INVOCATION}/x/response"), ("POST", f"{INVOCATION}/x/error"),
        ("POST", "/2018-06-01/runtime/init/error"), ("OPTIONS", f"{INVOCATION}/x/response"), ("GET", "/"),
    ):  # fmt: skip
        status, text = answer_of(address, method, prefix + path, named)
        assert (status, text.partition(":")[0]) == (403, "Refused"), path
    assert result(aws, "mine", other) == [other, runtime_api]


def test_the_secret_is_random_and_the_function_itself_is_answered(aws: Any, runtime_api: str) -> None:
    address, _, secret = runtime_api.partition("/")
    assert len(secret) == 64
    assert answer_of(address, "POST", f"/{secret}{INVOCATION}/x/response", {})[0] == 400  # no such invocation


def test_a_function_that_cannot_start_says_why(aws: Any) -> None:
    create(aws, "broken", "import no_such_module\n")
    assert "No module named 'no_such_module'" in result(aws, "broken", 1)["errorMessage"]
