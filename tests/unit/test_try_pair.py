"""`make try` in an account of moto: what it makes, in which order, what it says, and how it goes on after a failure."""

import http.server
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

import local.aws
from tests.unit.test_documents import PROJECT
from tests.unit.try_world import MACHINE, WITHOUT_IMAGES, TryWorld, servers_template
from this_machine import Answer, ThisMachine
from try_pair import main
from try_servers import HEALTH_CHECK, Pair
from try_stacks import CUTOVER, SERVERS, described


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[TryWorld]:
    monkeypatch.setenv(*WITHOUT_IMAGES)
    with mock_aws():
        yield TryWorld()


def run(world: TryWorld, *words: str) -> int:
    return main(["create", *words], machine=world, session=world.session)


def pair_of(world: TryWorld) -> Pair:
    return Pair.of(described(world.account, SERVERS))


def test_the_first_run_makes_both_stacks_and_releases_to_the_idle_server(world: TryWorld) -> None:
    assert run(world) == 0
    assert [command[2] for command in world.commands[:2]] == [SERVERS, CUTOVER]
    assert (world.server_at("production"), world.server_at("staging")) == ("tao", "bittybot")
    start = ["./cutover.py", "start", "--release", "2", "--server", "tao", "--wait", "15m"]
    assert world.commands[2:] == [[world.python, *start]]
    assert (world.folders[2], world.variables[2]["EIP_CUTOVER_STACK"]) == (PROJECT, CUTOVER)
    assert world.calls == ["AssociateAddress", "AssociateAddress"]


def test_the_stacks_are_deployed_without_a_question_and_without_the_users_own_settings(world: TryWorld) -> None:
    run(world)
    for command, folder, variables in zip(world.commands[:2], world.folders, world.variables, strict=False):
        assert folder == PROJECT / "examples" / "two-servers"
        assert command[0] == str(PROJECT / "node_modules" / ".bin" / "cdk")
        options = dict(zip(command[3::2], command[4::2], strict=False))
        assert options["--tags"] == "eip-cutover:test-pair=true"
        assert command[command.index("--require-approval") + 1] == "never"
        assert Path(options["--output"]).parent == PROJECT / "cdk.out"
        assert variables == {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    apps = [shlex.split(command[4]) for command in world.commands[:2]]
    assert apps == [
        [world.python, str(PROJECT / "examples" / "two-servers" / "two_servers.py")],
        [world.python, str(PROJECT / "app.py")],
    ]
    assert world.context(world.commands[0]) == {"zone": "eu-west-1a"}
    context = world.context(world.commands[1])
    assert context == {"name": "eip-cutover-try", "pairs": pair_of(world).context}
    assert "without another question (the CDK's --require-approval never)" in world.output_text


def test_the_account_and_the_region_are_printed_before_anything_is_created(world: TryWorld) -> None:
    seen: list[str] = []
    world.before[SERVERS] = lambda: seen.extend(world.lines)
    run(world)
    assert seen[0].startswith("Account 123456789012 (arn:aws:")
    assert seen[0].endswith("Region eu-west-1")
    assert any("$0.03 an hour" in line for line in seen)


def test_the_last_lines_say_who_is_live_what_to_type_what_it_costs_and_how_to_remove_it(world: TryWorld) -> None:
    run(world)
    last = world.output_text[world.output_text.rindex("Release 2") :]
    pair = pair_of(world)
    client = "AWS_REGION=eu-west-1 EIP_CUTOVER_STACK=EipCutoverTry ./cutover.py"
    for line in (
        "Release 2 is live on tao. Before, bittybot was live.",
        f"  production  http://{pair.ips['production']}/  tao, release 2",
        f"  staging     http://{pair.ips['staging']}/  bittybot, release 1",
        f"    {client} status",
        f"    while sleep 0.5; do curl -sS -m 2 http://{pair.ips['production']}/; done",
        f"    {client} start --release 3",
        f"    {client} start --release 4-unhealthy",
        f"    {client} rollback",
        f"    https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/statemachines/view/{MACHINE}",
        "    AWS_REGION=eu-west-1 make acceptance NAME=eip-cutover-try",
        "    AWS_REGION=eu-west-1 make try-destroy",
    ):
        assert line in last.splitlines()
    assert "about $0.03 an hour" in last


def test_a_second_run_moves_no_address_itself_and_releases_to_the_other_server(world: TryWorld) -> None:
    run(world)
    before = pair_of(world)
    world.calls.clear()
    assert run(world) == 0
    assert world.calls == []
    assert world.commands[-1][2:7] == ["start", "--release", "3", "--server", "bittybot"]
    assert pair_of(world) == before


@pytest.mark.parametrize("failing", [SERVERS, CUTOVER, "client"])
def test_after_a_failure_a_second_run_ends_with_a_release(world: TryWorld, failing: str) -> None:
    world.exit_codes[failing] = 12
    assert run(world) != 0
    world.exit_codes.clear()
    assert run(world) == 0
    assert (world.server_at("production"), world.releases["tao"]) == ("tao", "2")


@pytest.mark.parametrize(
    ("failing", "now"),
    [
        (SERVERS, "TwoServers: does not exist; EipCutoverTry: does not exist"),
        (CUTOVER, "TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist"),
    ],
)
def test_a_deployment_that_fails_ends_the_run_and_says_what_exists(world: TryWorld, failing: str, now: str) -> None:
    world.exit_codes[failing] = 1
    assert run(world) == 1
    assert world.commands[-1][2] == failing
    assert f"`cdk deploy {failing}` failed with exit code 1. Its output above says why." in world.lines
    assert f"The stacks now: {now}." in world.lines
    assert world.lines[-4:] == [
        "This continues from there:",
        "    AWS_REGION=eu-west-1 make try",
        "And this removes everything:",
        "    AWS_REGION=eu-west-1 make try-destroy",
    ]


def test_an_interruption_says_what_exists(world: TryWorld) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.before[CUTOVER] = interrupt
    assert run(world) == 130
    now = "The stacks now: TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist."
    assert world.lines[world.lines.index("Interrupted.") + 1] == now


def test_the_port_that_was_asked_for_is_in_the_command_that_continues(world: TryWorld) -> None:
    world.exit_codes[SERVERS] = 1
    run(world, "--port", "8080")
    assert "    AWS_REGION=eu-west-1 make try PORT=8080" in world.lines


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (12, "StagingUnhealthy (exit code 12). It did not touch production."),
        (15, "RolledBack (exit code 15). Production is back where it was."),
        (16, "RollbackFailed (exit code 16). It may have moved production, and its execution may still run."),
        (1, "the client failed (exit code 1). It may have moved production, and its execution may still run."),
    ],
)
def test_after_a_failed_release_the_last_lines_say_what_failed_what_is_true_and_what_to_do(
    world: TryWorld, code: int, says: str
) -> None:
    world.exit_codes["client"] = code
    assert run(world) == code
    last = world.lines[world.lines.index(f"Release 2 did not become live: {says}") :]
    pair = pair_of(world)
    assert f"  production  {pair.url('production')}  bittybot, release 1" in last
    commands = [line for line in last if line.startswith("    ")]
    assert commands == [
        "    AWS_REGION=eu-west-1 EIP_CUTOVER_STACK=EipCutoverTry ./cutover.py status",
        f"    https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/statemachines/view/{MACHINE}",
        "    AWS_REGION=eu-west-1 make try",
        "    AWS_REGION=eu-west-1 make try-destroy",
    ]


def test_what_ec2_and_the_addresses_say_after_the_release_is_printed_and_not_what_was_expected(world: TryWorld) -> None:
    world.before["client"] = lambda: world.answers_as.update(tao="bittybot")
    assert run(world) == 0
    pair = pair_of(world)
    still = "is on tao, but this machine still gets the answer of bittybot, release 2"
    assert f"  production  {pair.url('production')}  {still}" in world.lines


@pytest.mark.parametrize("code", [0, 15])
def test_if_ec2_cannot_be_asked_after_the_release_the_exit_code_is_still_the_clients(
    world: TryWorld, code: int
) -> None:
    world.exit_codes["client"] = code
    world.before["client"] = lambda: world.refuse("DescribeAddresses", "UnauthorizedOperation")
    assert run(world) == code
    assert f"The client ended with exit code {code}. Where the addresses are now is unknown: " in world.output_text


def test_without_a_server_that_was_live_before_no_rollback_is_advised(world: TryWorld) -> None:
    world.make_servers()
    world.associate("staging", world.output("Tao"))
    assert run(world) == 0
    assert "Release 2 is live on tao. Before, production was on no server." in world.lines
    assert "rollback" not in "".join(line for line in world.lines if line.startswith("    "))


def test_after_a_failure_production_on_no_server_is_said(world: TryWorld) -> None:
    world.make_servers()
    world.associate("staging", world.output("Tao"))
    world.exit_codes["client"] = 13
    assert run(world) == 13
    assert f"  production  {pair_of(world).url('production')}  is on no server" in world.lines


def foreign_address_on(world: TryWorld, server: str) -> dict[str, Any]:
    ec2 = world.unseen("ec2")
    address = ec2.allocate_address(Domain="vpc")
    instance = world.output(server.capitalize())
    return {**address, **ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)}


def test_an_address_of_someone_else_that_is_in_the_way_is_named_with_the_command_that_takes_it_off(
    world: TryWorld,
) -> None:
    world.make_servers()
    world.associate("production", world.output("Bittybot"))
    foreign = foreign_address_on(world, "tao")
    world.exit_codes["client"] = 13
    assert run(world) == 13
    says = f"The Elastic IP {foreign['PublicIp']} ({foreign['AllocationId']}) is on tao, and is in the way"
    assert says in world.output_text
    command = "    aws ec2 disassociate-address --region eu-west-1 --association-id " + foreign["AssociationId"]
    assert command in world.lines
    assert f"  staging     {pair_of(world).url('staging')}  is on no server" in world.lines


def test_while_an_address_is_in_the_way_no_command_is_printed_that_would_be_refused(world: TryWorld) -> None:
    world.make_servers()
    world.associate("production", world.output("Bittybot"))
    world.after_client = lambda: foreign_address_on(world, "bittybot")
    assert run(world) == 0
    assert "is on bittybot, and is in the way" in world.output_text
    assert " start --release" not in world.output_text
    assert "cutover.py rollback" not in world.output_text
    assert "make acceptance" not in world.output_text


def test_an_address_of_someone_else_is_not_displaced(world: TryWorld) -> None:
    world.make_servers()
    foreign = foreign_address_on(world, "bittybot")
    assert run(world) == 1
    assert f"The Elastic IP {foreign['PublicIp']}, which is not of this pair, is on bittybot." in world.output_text
    assert "AssociateAddress" not in world.calls


def test_the_commands_name_the_profile_if_the_environment_does(
    world: TryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "my work")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    run(world)
    assert "    AWS_PROFILE='my work' AWS_REGION=eu-west-1 make try-destroy" in world.lines
    assert "    AWS_PROFILE='my work' AWS_REGION=eu-west-1 make acceptance NAME=eip-cutover-try" in world.lines
    world.silent = {"tao"}
    run(world)
    assert "  AWS_PROFILE='my work' aws ec2 get-console-output --region eu-west-1 " in world.output_text


def test_an_error_of_aws_in_the_middle_is_a_sentence_with_the_permissions_that_are_needed(world: TryWorld) -> None:
    world.refuse("AssociateAddress", "UnauthorizedOperation", "You are\x1b[31m not authorized.")
    assert run(world) == 1
    assert "AssociateAddress is not permitted. AWS: You are [31m not authorized." in world.lines
    assert "those of an administrator" in world.output_text
    assert "The stacks now: TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist." in world.lines


@pytest.mark.parametrize(("on", "live"), [("bittybot", "tao"), ("tao", "bittybot")])
def test_an_address_that_an_interrupted_run_left_on_no_server_is_left_to_the_release(
    world: TryWorld, on: str, live: str
) -> None:
    world.make_servers()
    world.associate("production", world.output(on.capitalize()))
    assert run(world) == 0
    assert "The pair is not sound: something was interrupted." in world.output_text
    assert "AssociateAddress" not in world.calls
    assert world.commands[-1][5:7] == ["--server", live]


def test_production_on_no_server_goes_to_the_server_that_staging_is_on(world: TryWorld) -> None:
    world.make_servers()
    world.associate("staging", world.output("Tao"))
    assert run(world) == 0
    assert world.commands[-1][5:7] == ["--server", "tao"]


def test_an_address_on_a_stranger_ends_the_run(world: TryWorld) -> None:
    world.make_servers()
    ec2 = world.unseen("ec2")
    (stranger,) = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
    world.associate("staging", stranger["InstanceId"])
    assert run(world) == 1
    assert f"is on {stranger['InstanceId']}, which is not a server of this pair." in world.output_text
    assert {command[2] for command in world.commands} == {SERVERS}


def test_a_server_that_does_not_answer_is_named_with_the_command_that_shows_its_console(world: TryWorld) -> None:
    world.silent = {"tao"}
    assert run(world) == 1
    ip, instance = world.output("StagingIp"), world.output("Tao")
    assert f"No answer yet of tao at http://{ip}/. It had 5 minutes." in world.output_text
    options = f"--region eu-west-1 --latest --output text --instance-id {instance}"
    assert f"  aws ec2 get-console-output {options}" in world.output_text
    assert world.monotonic() == pytest.approx(300, abs=10)
    assert [command[2] for command in world.commands] == [SERVERS, CUTOVER]


def test_a_server_that_answers_as_another_is_waited_for(world: TryWorld) -> None:
    world.answers_as = {"tao": "bittybot"}  # the address has not moved for everyone yet
    assert run(world) == 1
    assert f"No answer yet of tao at http://{world.output('StagingIp')}/." in world.output_text


def test_a_server_without_systems_manager_is_named_before_the_release(world: TryWorld) -> None:
    world.online = {"bittybot"}
    assert run(world) == 1
    assert "The Systems Manager agent of tao is not online yet. It had 5 minutes." in world.output_text
    assert "  aws ec2 reboot-instances --region eu-west-1 --instance-ids i-" in world.output_text
    assert "client" not in [command[1] for command in world.commands]


def test_without_the_permission_to_see_the_agents_the_release_is_tried(world: TryWorld) -> None:
    world.refuse("DescribeInstanceInformation", "AccessDeniedException")
    assert run(world) == 0
    assert "Warning: not checked whether Systems Manager reaches the servers." in world.output_text


def test_a_second_run_that_replaces_the_servers_says_so_before_it_does(world: TryWorld) -> None:
    run(world)
    deploys: list[str] = []
    world.before[SERVERS] = lambda: deploys.append(world.output_text)
    world.lines.clear()
    run(world, "--port", "8080")
    before_synthesis, before_deployment = deploys
    assert "Both servers are replaced" not in before_synthesis
    assert "Both servers are replaced now, because what they are made from has changed" in before_deployment
    assert "Their releases begin again at 1, and production is on no server" in before_deployment


def test_a_run_that_keeps_the_servers_does_not_speak_of_replacing_them(world: TryWorld) -> None:
    run(world)
    world.synthesized = servers_template("eu-west-1a")
    world.synthesized["Resources"]["Tao"]["Properties"] |= {"Tags": []}
    run(world)
    assert [command[1:3] for command in world.commands[3:5]] == [["synth", SERVERS], ["deploy", SERVERS]]
    assert "Both servers are replaced" not in world.output_text


def test_another_port_is_used_and_kept_by_the_next_run(world: TryWorld) -> None:
    assert run(world, "--port", "8080") == 0
    assert world.context(world.commands[0])["port"] == "8080"
    assert f"http://{world.output('ProductionIp')}:8080/" in world.output_text
    assert '"port": 8080' in world.context(world.commands[1])["pairs"]
    run(world)
    assert world.context(world.commands[4])["port"] == "8080"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "²"])
def test_a_port_that_does_not_exist_is_a_wrong_command_line(
    world: TryWorld, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(world, f"--port={port}")
    assert exit_.value.code == 2
    assert "a port is a number from 1 to 65535" in capsys.readouterr().err
    assert world.lines == []


def test_the_port_of_ssh_is_refused(world: TryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(world, "--port=22")
    assert exit_.value.code == 2
    assert "port 22 is not free: the SSH server of Amazon Linux listens on it" in capsys.readouterr().err
    assert world.lines == []


@pytest.mark.parametrize(
    ("releases", "release"),
    [(("1", "1"), "2"), (("1", "9-unhealthy"), "10"), (("v1", ""), "1"), (("007", "6"), "8"), (("9" * 30, "1"), "2")],
)
def test_the_release_is_one_more_than_what_runs(world: TryWorld, releases: tuple[str, str], release: str) -> None:
    world.releases = dict(zip(("bittybot", "tao"), releases, strict=True))
    run(world)
    assert world.commands[-1][4] == release


def test_what_a_server_says_about_itself_is_printable() -> None:
    assert Answer("tao", "1\x1b[2J\n##[error]").line == "tao, release 1 [2J # #[error]"


def test_the_health_check_of_the_pair_is_that_of_the_local_pair() -> None:
    assert local.aws.HEALTH_CHECK == HEALTH_CHECK


class Page(http.server.BaseHTTPRequestHandler):
    headers_of_all: dict[str, str]

    def do_GET(self) -> None:
        self.send_response(500)
        for name, value in self.headers_of_all.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_that_says_who_it_is_answers_even_if_it_is_unhealthy(port: int) -> None:
    Page.headers_of_all = {"X-Server": "tao", "X-Release": "7-broken"}
    assert ThisMachine().answer("127.0.0.1", port) == Answer("tao", "7-broken")
    Page.headers_of_all = {"Server": "nginx"}
    assert ThisMachine().answer("127.0.0.1", port) is None
    assert ThisMachine().answer("127.0.0.1", 1) is None


def test_a_program_runs_in_its_folder_with_the_environment_and_more(tmp_path: Path) -> None:
    code = "import os, sys; open('ran', 'w').write(os.environ['A'] + os.environ['PATH']); sys.exit(3)"
    assert ThisMachine().run([sys.executable, "-c", code], tmp_path, {"A": "b"}) == 3
    assert (tmp_path / "ran").read_text() == "b" + os.environ["PATH"]


class Stopped(Exception):
    """What the handler of SIGTERM raises in these tests."""


@pytest.fixture
def stops() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Stopped

    former = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, former)


class SignalledMachine(ThisMachine):
    """SIGTERM comes when the program has started, and `start` has not returned yet."""

    started: "subprocess.Popen[bytes] | None" = None

    def start(self, *words: Any) -> "subprocess.Popen[bytes]":
        self.started = super().start(*words)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # in which Python calls the handler
        return self.started


@pytest.mark.usefixtures("stops")
def test_a_program_does_not_outlive_a_signal_that_comes_while_it_is_started(tmp_path: Path) -> None:
    machine = SignalledMachine()
    with pytest.raises(Stopped):
        machine.run(["sleep", "60"], tmp_path, {})
    assert machine.started is not None
    assert machine.started.returncode == -signal.SIGTERM


@pytest.mark.usefixtures("stops")
def test_a_program_does_not_outlive_a_signal_that_comes_while_it_runs(tmp_path: Path) -> None:
    command = ["sh", "-c", f"echo $$ >pid; kill -TERM {os.getpid()}; exec sleep 60"]
    with pytest.raises(Stopped):
        ThisMachine().run(command, tmp_path, {})
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.usefixtures("stops")
def test_the_program_itself_can_be_interrupted(tmp_path: Path) -> None:
    assert ThisMachine().run(["sh", "-c", "kill -TERM $$"], tmp_path, {}) == -signal.SIGTERM


def test_make_knows_both_commands() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    assert "try: setup ## " in makefile
    assert "try-destroy: setup ## " in makefile
    assert "$(BIN)/python examples/two-servers/try_pair.py create" in makefile
    assert "$(BIN)/python examples/two-servers/try_pair.py destroy" in makefile
