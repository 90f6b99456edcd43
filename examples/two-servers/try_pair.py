"""`make try`: two servers of your own, and a release on them. `make try-destroy` removes everything again."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

# The folders of `client` and `domain`.
sys.path.extend(str(Path(__file__).resolve().parents[2] / folder) for folder in ("", "lambdas"))

import boto3

import next_steps
import prerequisites
import removal
from client.account import DENIED, Account, AwsError, Problem, sdk
from client.result import CLIENT_FAILED, INTERRUPTED, OK
from client.screen import plain, silence
from commands_to_copy import here
from next_steps import Situation
from prerequisites import Obstacle
from this_machine import ThisMachine
from try_servers import PAIR, Pair, in_the_way, located, place, wait_for_agents, wait_for_answers
from try_stacks import CUTOVER, HERE, NAME, ROOT, SERVERS, STACKS, App, described

WAIT = "15m"  # for an execution that an earlier run has left
CREATES = f"""This creates or updates, without another question (the CDK's --require-approval never):
  - the stack {SERVERS}: a VPC, two {prerequisites.INSTANCE_TYPE} in {{zone}}, two Elastic IP addresses
  - the stack {CUTOVER}: the workflow that switches between these two servers
Until `make try-destroy`, they cost {next_steps.COST}."""
# A change of one of these replaces both servers (two_servers.py).
DECIDE_ABOUT_SERVERS = ("AWS::EC2::LaunchTemplate", "AWS::EC2::Instance")
REPLACES = """Both servers are replaced now, because what they are made from has changed (user_data.sh, web_server.py,
deploy, the port or the stack). Their releases begin again at 1, and production is on no server for some minutes."""
SSH = 22
DESTROY = "make try-destroy"


class NotReady(Problem):
    """Something has to be done before anything can be created or removed."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        count = "1 problem" if len(obstacles) == 1 else f"{len(obstacles)} problems"
        lines = [f"\nCannot begin: {count}. Nothing was changed."]
        for number, obstacle in enumerate(obstacles, 1):
            lines += [f"{number}. {obstacle.found}", *(f"   {line}" for line in obstacle.do.splitlines())]
        super().__init__("\n".join(lines))


def signed_in(machine: ThisMachine, session: boto3.Session | None) -> Account:
    """The account of the credentials in the environment, which is printed. Raises Problem."""
    region = os.environ.get("AWS_REGION") or None
    try:
        with sdk():
            source = session or boto3.Session(region_name=region)
            region, obstacles = source.region_name, prerequisites.credentials(source)
        if obstacles:
            raise NotReady(obstacles)
        account = Account(source, stack=CUTOVER)
        caller = account.call("sts", "get_caller_identity")
    except AwsError as error:
        raise NotReady([prerequisites.unusable(error, region)]) from None
    machine.say(f"Account {caller['Account']} ({plain(caller['Arn'], 200)}), Region {account.region}")
    return account


def create(machine: ThisMachine, account: Account, *, port: int | None) -> int:
    """Everything that `make try` does. It continues where an earlier run ended. Returns the exit code. Raises
    Problem."""
    findings = prerequisites.check(account)
    for warning in findings.warnings:
        machine.say(f"Warning: {warning}")
    if findings.obstacles:
        raise NotReady(findings.obstacles)
    machine.say(CREATES.format(zone=findings.zone))

    machine.say(f"\n1 of 5: the servers (cdk deploy {SERVERS}, about three minutes)")
    chosen = port or findings.stacks[SERVERS].outputs.get("Port")  # another port would replace the servers
    context = {"zone": findings.zone} | ({"port": str(chosen)} if chosen else {})
    app = App(machine, account, SERVERS, HERE / "two_servers.py", context)
    if findings.stacks[SERVERS].has_servers and app.replaces(DECIDE_ABOUT_SERVERS):
        machine.say(REPLACES)
    pair = Pair.of(app.deploy())

    machine.say("\n2 of 5: the addresses")
    places = place(machine, account, pair)

    machine.say(f"\n3 of 5: the workflow (cdk deploy {CUTOVER}, about three minutes)")
    cutover = App(machine, account, CUTOVER, ROOT / "app.py", {"name": NAME, "pairs": pair.context}).deploy()

    machine.say("\n4 of 5: both servers answer, and Systems Manager reaches them")
    answers = wait_for_answers(machine, pair, places, region=account.region)
    wait_for_agents(machine, account, pair)

    live = places["production"] or pair.other(places["staging"] or "tao")
    release, idle = next_steps.next_release(answers.values()), pair.other(live)
    machine.say(f"\n5 of 5: release {release}, to the idle server {idle}, which then becomes live")
    start = ["./cutover.py", "start", "--release", str(release), "--server", idle, "--wait", WAIT]
    variables = {"EIP_CUTOVER_STACK": CUTOVER, "AWS_REGION": account.region}
    code = machine.run([machine.python, *start], ROOT, variables)
    try:
        now = situation(machine, account, pair)
    except Problem as error:
        machine.say(f"\nThe client ended with exit code {code}. Where the addresses are now is unknown: {error}")
        machine.say(f"This asks again:\n    {next_steps.client(account.region)} status")
        return code
    about: Any = {"region": account.region, "arn": cutover.outputs.get("StateMachineArn", "")}
    if code:
        text = next_steps.after_failure(now, release, code, **about)
    else:
        text = next_steps.after_success(now, release, idle, places["production"], **about)
    machine.say(f"\n{text}")
    return code


def situation(machine: ThisMachine, account: Account, pair: Pair) -> Situation:
    """What EC2 and both addresses say now. Raises Problem."""
    answers = {role: machine.answer(pair.ips[role], pair.port) for role in pair.ips}
    rollback_to = None
    with suppress(Problem):  # then a rollback is not advised
        rollback_to = account.record(PAIR).rollback_to.server
    return Situation(pair, located(account, pair), answers, in_the_way(account, pair), rollback_to)


def destroy(machine: ThisMachine, account: Account) -> int:
    """Everything that `make try-destroy` does. The servers go even if the other stack is someone else's. Returns the
    exit code. Raises Problem."""
    strangers, servers = removal.strangers(account), described(account, SERVERS)
    if strangers and not servers.is_removable:
        raise NotReady(strangers)
    removal.remove(machine, account)
    for stranger in strangers:
        machine.say(f"\nNot removed: {stranger.found} {stranger.do}")
    return CLIENT_FAILED if strangers else OK


def what_exists(machine: ThisMachine, account: Account, command: str) -> None:
    """After a run that did not finish: what there is now, and how to go on."""
    with suppress(AwsError):
        stacks = [described(account, name) for name in STACKS[::-1]]
        states = [f"{stack.name}: {stack.status or 'does not exist'}" for stack in stacks]
        machine.say(f"The stacks now: {'; '.join(states)}.")
        if any(stack.exists for stack in stacks):
            machine.say(f"What exists costs at most {next_steps.COST}.")
    machine.say(f"This continues from there:\n    {here(account.region, command)}")
    if command != DESTROY:
        machine.say(f"And this removes everything:\n    {here(account.region, DESTROY)}")


def main(words: Sequence[str] | None = None, *, machine: ThisMachine, session: boto3.Session | None = None) -> int:
    """Returns the exit code: 0; 1 if something is in the way or failed; that of the client; 130 if interrupted."""
    options = _parser().parse_args(words)
    account, code = None, CLIENT_FAILED
    try:
        account = signed_in(machine, session)
        if options.does == "destroy":
            return destroy(machine, account)
        return create(machine, account, port=options.port)
    except NotReady as error:
        machine.say(str(error))
        return error.exit_code
    except AwsError as error:
        machine.say(f"\n{prerequisites.reason(error)}")
        if error.code in DENIED:
            machine.say(prerequisites.PERMISSIONS)
    except Problem as error:
        machine.say(f"\n{error}")
    except KeyboardInterrupt:
        machine.say("\nInterrupted.")
        code = INTERRUPTED
    if account:
        port = f" PORT={options.port}" if options.does == "create" and options.port else ""
        what_exists(machine, account, DESTROY if options.does == "destroy" else f"make try{port}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="does", required=True)
    make = commands.add_parser("create", help="make the servers, the workflow and a release, or go on with them")
    make.add_argument(
        "--port",
        type=_port,
        metavar="PORT",
        help="of the web servers; the default is that of an earlier run, or else 80",
    )
    commands.add_parser("destroy", help="remove all of it")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    if int(text) == SSH:
        raise argparse.ArgumentTypeError("port 22 is not free: the SSH server of Amazon Linux listens on it")
    return int(text)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main(machine=ThisMachine()))
    except KeyboardInterrupt:  # a second one
        sys.exit(INTERRUPTED)
    except OSError as error:  # nobody reads the output any more, or the CDK CLI is not installed
        silence(sys.stdout)
        sys.exit(f"try_pair.py: {error}")
