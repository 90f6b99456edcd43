"""What a person or a pipeline types, and every exit code that leaves the program."""

import contextlib
import ipaddress
import json
import re
import shlex
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn

import boto3
import click

from client.account import STACK, Account
from client.errors import AWS_ERRORS, Problem, is_passing, sentence
from client.follow import Follower, LostSight
from client.history import entries
from client.init import NAME, described_pair
from client.lock import unlock as delete_dead_lock
from client.result import CLIENT_FAILED, DETAILED, INTERRUPTED, MEANINGS, OK, Result
from client.rollback_target import PREFIX, way_back
from client.screen import Screen
from client.status import chosen_pair, chosen_pairs, standings
from client.text import JsonObject, columns, plain

TERMINATED = 128 + signal.SIGTERM
# What StartExecution refuses in a name: API reference.
FORBIDDEN = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]""")
CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else."
)
pair_option = click.option("--pair", metavar="NAME", help="Which pair; may be left out where there is one.")
stack_option = click.option(
    "--stack", envvar="EIP_CUTOVER_STACK", default=STACK, show_default=True, show_envvar=True, help="The stack's name."
)
detailed_option = click.option(
    "--detailed-exit-code", "detailed", is_flag=True, help="3 ALREADY_LIVE, 4 REPAIRED, 5 DRY_RUN instead of 0."
)


class Terminated(KeyboardInterrupt):
    """SIGTERM: how CI cancels a job."""


@click.group(epilog=CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Cuts a pair's production address over to its idle server, and looks how it stands.

    The account and the Region are those of your AWS credentials (AWS_PROFILE, AWS_REGION, ...); everything else is
    found from the outputs of the stack.
    """


@cli.command(epilog=CODES)
@pair_option
@click.option("--server", metavar="NAME", help="The server that shall be live; else the idle one. Name it in CI.")
@click.option("--dry-run", is_flag=True, help="Everything up to the first change, and the plan.")
@click.option("--expected-release", metavar="RELEASE", help="Refuse a server that runs another release.")
@click.option("--name", help="The execution's name, as of commit and attempt: once only, and again follows the first.")
@json_option
@detailed_option
@stack_option
@click.pass_obj
def start(
    session: boto3.Session | None,
    *,
    pair: str | None,
    server: str | None,
    dry_run: bool,
    expected_release: str | None,
    name: str | None,
    as_json: bool,
    detailed: bool,
    stack: str,
) -> int:
    """Start a cutover, and follow it to its end."""
    if name is not None and (FORBIDDEN.search(name) or not 1 <= len(name) <= 80):
        raise click.BadParameter('1 to 80 characters, no spaces, none of <>{}[]?*"#%\\^|~`$&,;:/', param_hint="--name")
    given = {"pair": pair, "serverName": server, "dryRun": dry_run or None, "expectedRelease": expected_release}
    request = {key: value for key, value in given.items() if value is not None}
    account = Account(session, stack=stack)
    return _started(account, name or _new_name("cutover-"), request, as_json=as_json, detailed=detailed)


@cli.command(epilog=CODES)
@click.argument("execution", required=False)
@json_option
@detailed_option
@stack_option
@click.pass_obj
def watch(session: boto3.Session | None, *, execution: str | None, as_json: bool, detailed: bool, stack: str) -> int:
    """Follow an execution started elsewhere.

    EXECUTION is its name or ARN; left out, it is the one that runs, or the newest.
    """
    account = Account(session, stack=stack)
    if execution is None:
        newest = next(account.executions(running=True, page=1), None) or next(account.executions(page=1), None)
        if newest is None:
            raise Problem("There is no execution yet. Start one with: cutover.py start")
        execution = newest["executionArn"]
    arn = account.arn_of(execution)
    described = account.describe(arn)
    progress = _progress_screen(as_json)
    progress.line(f"{plain(described.get('name') or arn)}: {arn}", "bold")
    return _followed(account, arn, progress, as_json=as_json, detailed=detailed)


@cli.command()
@pair_option
@json_option
@stack_option
@click.pass_obj
def status(session: boto3.Session | None, *, pair: str | None, as_json: bool, stack: str) -> int:
    """Show who is live and who holds the lock.

    And where both addresses stand, of one pair or of all.
    """
    account = Account(session, stack=stack)
    found = standings(account, chosen_pairs(account, pair))
    if as_json:
        return _json({"pairs": [standing.to_json() for standing in found]})
    screen = Screen(sys.stdout)
    for number, standing in enumerate(found):
        if number:
            screen.line("")
        screen.table(standing.lines(), "bold")
    return OK


@cli.command()
@click.option("--pair", metavar="NAME", help="Only the executions of this pair.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many.")
@json_option
@stack_option
@click.pass_obj
def history(session: boto3.Session | None, *, pair: str | None, limit: int, as_json: bool, stack: str) -> int:
    """Show the last executions.

    When each began, what it came to, from which server to which, how long it took, and who started it.
    """
    account = Account(session, stack=stack)
    if pair is not None:
        chosen_pairs(account, pair)
    found, unknown = entries(account, pair=pair, limit=limit)
    if unknown:
        Screen(sys.stderr).line(unknown, "yellow")
    if as_json:
        return _json({"executions": [entry.to_json() for entry in found]})
    screen = Screen(sys.stdout)
    for line in columns(entry.row() for entry in found) or ["No executions yet."]:
        screen.line(line)
    return OK


@cli.command(epilog=CODES)
@pair_option
@json_option
@detailed_option
@stack_option
@click.pass_obj
def rollback(session: boto3.Session | None, *, pair: str | None, as_json: bool, detailed: bool, stack: str) -> int:
    """Go back to the server that was live before.

    By the same checked workflow. Asked for twice, it goes back once.
    """
    account = Account(session, stack=stack)
    chosen = chosen_pair(account, pair)
    back = way_back(account, chosen)
    _progress_screen(as_json).line(back.reason)
    if back.server is None:
        code = DETAILED["ALREADY_LIVE"] if detailed else OK
        if as_json:
            found = {"execution": None, "outcome": "ALREADY_LIVE", "pair": chosen.name, "reason": back.reason}
            _json({**found, "exitCode": code})
        return code
    request = {"pair": chosen.name, "serverName": back.server}
    return _started(account, _new_name(PREFIX), request, as_json=as_json, detailed=detailed)


@cli.command()
@pair_option
@stack_option
@click.pass_obj
def unlock(session: boto3.Session | None, *, pair: str | None, stack: str) -> int:
    """Delete a dead lock.

    One whose execution has ended, and whose last call is over; any other is refused, with exit code 20. The next
    execution takes a dead lock over by itself, and finishes what was begun: this is for when there shall be none.
    """
    account = Account(session, stack=stack)
    Screen(sys.stdout).line(delete_dead_lock(account, chosen_pair(account, pair).name))
    return OK


@cli.command()
@click.option("--production", required=True, metavar="IP", help="The public address that users use.")
@click.option("--staging", required=True, metavar="IP", help="The public address of the idle server.")
@click.option("--name", default="web", show_default=True, help="The pair's name.")
@click.pass_obj
def init(session: boto3.Session | None, *, production: str, staging: str, name: str) -> int:
    """Print the pair for cdk.json.

    From two Elastic IPs that are on two servers: the value of the context key `pairs`, ready to be deployed.
    """
    for option, value in (("--production", production), ("--staging", staging)):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            raise click.BadParameter(f"{plain(value)!r} is not an IPv4 address", param_hint=option) from None
    if production == staging:
        raise click.BadParameter("it is the production address, too", param_hint="--staging")
    if not NAME.fullmatch(name):
        raise click.BadParameter(
            "1 to 64 letters, digits, '-', '_', '.', the first a letter or digit", param_hint="--name"
        )
    pair = described_pair(Account(session), production=production, staging=staging)
    notes = Screen(sys.stderr)
    notes.line("Put this into cdk.json as the value of context.pairs, or beside the pairs that are there.")
    notes.line("The health check is the default, HTTP on port 80, path /: see `healthCheck` in the README.")
    return _json({name: pair})


def main(words: Sequence[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Runs a command; its exit code. `session` is boto3's own but in tests."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    before = signal.signal(signal.SIGTERM, _terminate)
    errors = Screen(sys.stderr)
    try:
        return int(
            cli.main(None if words is None else list(words), "cutover.py", standalone_mode=False, obj=session) or OK
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Problem as problem:
        errors.line(f"cutover.py: {problem}", "red")
        return problem.exit_code
    except AWS_ERRORS as error:
        errors.line(f"cutover.py: {sentence(error)}", "red")
        return CLIENT_FAILED
    except (KeyboardInterrupt, click.Abort) as error:
        # click raises its Abort from what interrupted it.
        return TERMINATED if isinstance(error.__cause__ or error, Terminated) else INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _started(account: Account, name: str, request: JsonObject, *, as_json: bool, detailed: bool) -> int:
    arn = account.arn_of(name)
    progress = _progress_screen(as_json)
    with _interruptible(account, arn, "It may have been started"):
        is_new = account.start(name, request)
    again = "was started before, with the same input; nothing was started now"
    progress.line(f"{name}: {'started' if is_new else again}, {arn}", "bold")
    return _followed(account, arn, progress, as_json=as_json, detailed=detailed)


def _followed(account: Account, arn: str, progress: Screen, *, as_json: bool, detailed: bool) -> int:
    with _interruptible(account, arn, "It goes on"):
        result = Follower(account, arn, progress).result()
    return _reported(result, as_json=as_json, detailed=detailed)


def _reported(result: Result, *, as_json: bool, detailed: bool) -> int:
    code = result.exit_code(detailed=detailed)
    if as_json:
        _json({**result.to_json(), "exitCode": code})
    else:
        Screen(sys.stdout).table(result.summary(), "bold green" if result.succeeded else "bold red")
    return code


@contextlib.contextmanager
def _interruptible(account: Account, arn: str, state: str) -> Iterator[None]:
    """Stops nothing when it is interrupted or loses sight of the execution; says how to find it and how to stop it."""
    notes = Screen(sys.stderr)

    def how() -> None:
        name = shlex.quote(arn.rsplit(":", 1)[-1])
        stack = "" if account.stack_name == STACK else f" --stack {shlex.quote(account.stack_name)}"
        notes.line(f"{state}: {arn}", "bold")
        notes.line(f"follow it: cutover.py watch {name}{stack}")
        notes.line(f"stop it:   aws stepfunctions stop-execution --execution-arn {shlex.quote(arn)}")
        notes.line("           It is repaired by itself then: production stays where it is at that moment.")

    try:
        yield
    except KeyboardInterrupt:
        notes.line("")
        notes.line("Interrupted. Nothing was stopped.", "yellow")
        how()
        raise
    except LostSight:
        how()
        raise
    except AWS_ERRORS as error:
        # What did not answer may have done what it was asked.
        if is_passing(error):
            how()
        raise


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _progress_screen(as_json: bool) -> Screen:
    return Screen(sys.stderr if as_json else sys.stdout)


def _json(document: Any) -> int:
    print(json.dumps(document, indent=2))
    return OK


def _new_name(prefix: str) -> str:
    """A name of its own, so that a call of StartExecution that is tried again starts nothing twice."""
    return f"{prefix}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
