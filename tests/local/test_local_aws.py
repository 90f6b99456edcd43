"""The local AWS as a person uses it: the real stack swaps two servers that answer."""

import contextlib
import http.client
import json
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import faults
from local.access import authorization, new_access_key
from local.aws import LocalAws
from local.console import env_file, exports
from local.deployment import ROOT
from local.ec2 import ACCESS_KEY
from tests.local.situation import AS_BEFORE, SWAPPED, places, until


def who_answers(aws: LocalAws, ip: str) -> str:
    with contextlib.closing(http.client.HTTPConnection(ip, aws.server_port, timeout=5)) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    return f"{response.headers['X-Server']} {response.headers['X-Release']}"


def test_the_deployed_workflow_swaps_the_servers_and_no_request_fails(aws: LocalAws) -> None:
    aws.servers["tao"].deploy(release=2)
    aws.servers["tao"].restart()
    first, began = len(aws.moves), time.monotonic()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(aws.execute, {})
        answers = [who_answers(aws, aws.production_ip) for _ in iter(running.done, True)]
        execution = running.result()
    assert (execution.status, execution.output["outcome"]) == ("SUCCEEDED", "CUT_OVER")
    assert places(aws) == SWAPPED
    assert answers[0] == "bittybot 1"
    assert who_answers(aws, aws.production_ip) == "tao 2"
    assert set(answers) <= {"bittybot 1", "tao 2"}
    assert answers == sorted(answers)
    moves = aws.moves[first:]
    assert [(move.role, move.server) for move in moves] == [
        ("staging", None), ("production", "tao"), ("staging", "bittybot"),
    ]  # fmt: skip
    moments = [began, *(move.at for move in moves), time.monotonic()]
    assert moments == sorted(moments)


def test_resetting_undoes_what_a_test_did(running_aws: LocalAws) -> None:
    running_aws.place(production="tao", staging=None)
    running_aws.servers["bittybot"].deploy(release=7, behaviour="unhealthy")
    running_aws.servers["bittybot"].restart()
    running_aws.ec2.latency_seconds, running_aws.propagation_seconds = 1, 60
    running_aws.reset()
    assert places(running_aws) == AS_BEFORE
    assert (running_aws.ec2.latency_seconds, running_aws.propagation_seconds) == (0, 0)
    assert who_answers(running_aws, running_aws.production_ip) == "bittybot 1"


def test_ec2_shows_the_new_place_of_an_address_while_the_former_server_still_answers(aws: LocalAws) -> None:
    aws.propagation_seconds = 1
    began = time.monotonic()
    aws.ec2.associate(aws.addresses["production"], aws.servers["tao"].instance_id)
    assert aws.holder("production") == "tao"
    answers = []
    while "tao 1" not in answers:
        answers.append(who_answers(aws, aws.production_ip))
        assert time.monotonic() < began + 10
    assert answers[0] == "bittybot 1"
    assert time.monotonic() >= began + 1


def test_an_address_from_no_server_answers_after_its_move(aws: LocalAws) -> None:
    aws.place(production="bittybot", staging=None)
    aws.propagation_seconds = 0.5
    aws.ec2.associate(aws.addresses["staging"], aws.servers["tao"].instance_id)
    with pytest.raises(ConnectionRefusedError):
        who_answers(aws, aws.staging_ip)

    def answer() -> str | None:
        with contextlib.suppress(ConnectionRefusedError):
            return who_answers(aws, aws.staging_ip)
        return None

    assert until(answer) == "tao 1"


def test_a_shell_with_the_exports_uses_the_local_aws(aws: LocalAws) -> None:
    script = f"""{exports(aws)}
        eval "$TAO_UNHEALTHY"; eval "$TAO_HEALTHY"
        aws ec2 describe-addresses --query "Addresses[].PublicIp" --output text
        aws stepfunctions describe-state-machine --state-machine-arn "$STATE_MACHINE_ARN" --query name --output text
        PYTHONPATH={ROOT} python -m local.faults --list
    """
    shell = subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/usr/bin:/bin"}
    )
    addresses, name, faults = shell.stdout.splitlines()
    assert {aws.production_ip, aws.staging_ip} <= set(addresses.split())
    assert (name, faults) == ("eip-cutover", "No faults.")


def test_nobody_else_may_read_the_exports(aws: LocalAws, tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("of a run before")
    env.chmod(0o644)
    with env_file(aws, env):
        assert (stat.filemode(env.stat().st_mode), env.read_text()) == ("-rw-------", exports(aws))
    assert not env.exists()


# Each of these with all else right.
REFUSED: dict[str, dict[str, str]] = {
    "a web page": {"Origin": "https://evil.example"},
    "a page in a sandbox": {"Origin": "null"},
    "a page of the same machine": {"Origin": "http://localhost:8000"},
    "a name that leads here": {"Host": "evil.example"},
    "that name with the port": {"Host": "evil.example:{port}"},
    "a name that begins like this machine's": {"Host": "127.0.0.1.evil.example:{port}"},
    "another port": {"Host": "127.0.0.1:1"},
    "an empty host": {"Host": ""},
    "nobody": {"Authorization": ""},
    "the key test": authorization("test"),
    "the key TEST": authorization("TEST"),
    "the account": authorization("000000000000"),
    "a key that begins like the run's": authorization(ACCESS_KEY[:-1]),
    "the key in another header": {"Authorization": "", "X-Amz-Security-Token": ACCESS_KEY},
    "the key in another place": {"Authorization": f"Bearer {ACCESS_KEY}"},
}
CREATE_FUNCTION = "/2015-03-31/functions"
FUNCTION: dict[str, object] = {
    "FunctionName": "evil", "Runtime": "python3.13", "Role": "arn:aws:iam::000000000000:role/r",
    "Handler": "evil.handler", "Code": {"ZipFile": ""},
}  # fmt: skip


def answer_of(endpoint: str, method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, str]:
    """The status and the body of the answer to a request with the right headers but these."""
    port = int(endpoint.rpartition(":")[2])
    right = {"Host": f"127.0.0.1:{port}", "Content-Type": "text/plain"} | authorization(ACCESS_KEY)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        named = {name: value.replace("{port}", str(port)) for name, value in (right | headers).items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_both_servers_refuse_every_request_of_a_web_page_and_of_another_user(
    running_aws: LocalAws, headers: dict[str, str]
) -> None:
    aws, ec2 = running_aws.emulator.endpoint, running_aws.ec2.endpoint
    fault = json.dumps({"action": "AssociateAddress", "kind": "reset"})
    for endpoint, method, path, body in (
        (aws, "POST", CREATE_FUNCTION, json.dumps(FUNCTION)),
        (aws, "POST", "/2015-03-31/functions/evil/invocations", "{}"),
        (aws, "OPTIONS", CREATE_FUNCTION, ""),
        (aws, "POST", "/_ministack/reset", ""),
        (aws, "GET", "/_ministack/health", ""),
        (ec2, "POST", "/", "Action=DescribeAddresses&Version=2016-11-15"),
        (ec2, "POST", "/moto-api/reset", ""),
        (ec2, "POST", faults.PATH, fault),
    ):
        status, text = answer_of(endpoint, method, path, headers, body)
        assert (status, text.partition(":")[0]) == (403, "Refused"), path
    names = [each["FunctionName"] for each in running_aws.client("lambda").list_functions()["Functions"]]
    assert "evil" not in names
    assert running_aws.ec2.faults.injected == []


def test_the_name_localhost_and_the_access_key_of_the_run_are_accepted_by_both_servers(running_aws: LocalAws) -> None:
    by_name = {"Host": "localhost:{port}"}
    assert answer_of(running_aws.emulator.endpoint, "GET", "/_ministack/health", by_name)[0] == 200
    assert answer_of(running_aws.ec2.endpoint, "GET", faults.PATH, by_name) == (200, "No faults.")


def test_no_two_runs_have_the_same_access_key() -> None:
    assert new_access_key() != new_access_key()
    assert len(new_access_key()) > 32


def test_an_address_that_moves_while_its_server_restarts_answers_afterwards(aws: LocalAws) -> None:
    aws.servers["tao"].stop()
    aws.place(production="tao", staging="bittybot")
    aws.servers["tao"].start()
    assert who_answers(aws, aws.production_ip) == "tao 1"
