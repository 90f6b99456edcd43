"""The local AWS as a person uses it: the real stack swaps two servers that answer."""

import contextlib
import http.client
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.aws import LocalAws
from local.console import exports
from local.deployment import ROOT
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


def test_an_address_that_was_on_no_server_answers_once_it_has_moved(aws: LocalAws) -> None:
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


def test_the_exports_make_a_shell_talk_to_the_local_aws(aws: LocalAws) -> None:
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


def test_an_address_that_moves_while_its_server_restarts_answers_afterwards(aws: LocalAws) -> None:
    aws.servers["tao"].stop()
    aws.place(production="tao", staging="bittybot")
    aws.servers["tao"].start()
    assert who_answers(aws, aws.production_ip) == "tao 1"
