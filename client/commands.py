"""The commands, their options and their exit codes."""

import contextlib
import io
import ipaddress
import re
import shlex
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn

import boto3
import click

from client import ways
from client.account import STACK, Account
from client.errors import AWS_ERRORS, Problem, is_transient, sentence
from client.follow import CannotFollow, Follower
from client.history import entries
from client.init import described_pair, replaced_server
from client.result import CLIENT_FAILED, INTERRUPTED, MEANINGS, OK, Result
from client.screen import OutputClosed, Screen, silence
from client.status import chosen_pair, chosen_pairs, refuse_misspelt, standings
from client.text import PROGRAM, JsonObject, columns, plain, split
from domain.pair import NAME_PATTERN

# StartExecution accepts other characters, but such an execution may not be logged: API reference of StartExecution.
EXECUTION_NAME = "[0-9A-Za-z_-]{1,80}"
CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())

pair_option = click.option("--pair", metavar="NAME", help="The pair; needed only if there are several.")
one_pair_option = click.option("--pair", metavar="NAME", help="Show only this pair.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
detailed_option = click.option(
    "--detailed-exit-code", "detailed", is_flag=True, help="Exit with 3, 4 or 5 instead of 0: see below."
)
stack_option = click.option(
    "--stack", "account", envvar="EIP_CUTOVER_STACK", default=STACK, show_default=True, show_envvar=True,
    callback=lambda context, _parameter, name: Account(context.obj, stack=name), help="The stack's name.",
)  # fmt: skip
dry_run_option = click.option("--dry-run", "dryRun", is_flag=True, help="Check everything, but change nothing.")


def seconds_of(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Of `15m`, `90s`, `1h` or seconds; at most as long as the workflow waits."""
    number = re.fullmatch("([0-9]{1,6})([smh]?)", text or "0" * (text is None))
    seconds = int(number[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[number[2]] if number else -1
    if not 0 <= seconds <= 3600:
        raise click.BadParameter(f"{plain(text)!r} is not a duration of at most 1h, such as 15m, 90s or 900")
    return seconds


def report_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options of a command that follows an execution."""
    return json_option(detailed_option(stack_option(command)))


class Terminated(KeyboardInterrupt):
    """SIGTERM: how CI cancels a job."""


class Report:
    """Reports an execution as the options --json and --detailed-exit-code say."""

    def __init__(self, *, as_json: bool, detailed: bool) -> None:
        self.as_json, self.detailed = as_json, detailed
        self.progress = Screen(sys.stderr if as_json else sys.stdout)

    def of(self, result: Result) -> int:
        """Print the result. Returns the exit code."""
        code = result.exit_code(detailed=self.detailed)
        try:
            if self.as_json:
                _json({**result.to_json(), "exitCode": code})
            else:
                self.progress.table(result.summary(), "bold green" if result.succeeded else "bold red")
        except OutputClosed:
            return _failed(f"cutover.py: {plain(result.outcome)}; the rest could not be written.", code)
        return code


@click.group(epilog=CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Switch a pair's production address to its idle server, and show the state of the pair.

    The account and the Region come from your AWS settings (AWS_PROFILE, AWS_REGION, ...). Everything else comes from
    the outputs of the stack.
    """


@cli.command(epilog=CODES)
@pair_option
@click.option("--server", "serverName", metavar="NAME", help="Server to make live; else the idle server. Set it in CI.")
@dry_run_option
@click.option("--expected-release", "expectedRelease", metavar="RELEASE", help="Refuse to switch to another release.")
@click.option("--emergency", is_flag=True, help="Skip the checks of the live server and the alarms that ring already.")
@click.option("--wait", "waitSeconds", callback=seconds_of, metavar="DURATION", help="How long to wait for another "
              "execution of the pair, such as 15m or 90s; at most 1h.")  # fmt: skip
@click.option("--name", help="Execution name, for example commit and attempt. Reusing a name follows the existing "
              "execution instead of starting another.")  # fmt: skip
@report_options
def start(*, account: Account, name: str | None, as_json: bool, detailed: bool, **request: Any) -> int:
    """Start a cutover and follow it until it ends."""
    if name is not None and not re.fullmatch(EXECUTION_NAME, name):
        raise click.BadParameter("use 1 to 80 of the characters 0-9, A-Z, a-z, - and _", param_hint="--name")
    refuse_misspelt(account, pair=request["pair"], server=request["serverName"])
    return _started(account, name or _new_name("cutover-"), request, Report(as_json=as_json, detailed=detailed))


@cli.command(epilog=CODES)
@click.argument("execution", required=False)
@report_options
def watch(*, account: Account, execution: str | None, as_json: bool, detailed: bool) -> int:
    """Follow an execution that was started elsewhere.

    EXECUTION is a name or an ARN. The default is the running execution, or the newest if no execution runs.
    """
    if execution is None:
        newest = next(account.executions(running=True, page=1), None) or next(account.executions(page=1), None)
        if newest is None:
            raise Problem(f"There is no execution yet. Start one with:\n{account.command('start')}")
        execution = newest["executionArn"]
    arn = account.arn_of(execution)
    report = Report(as_json=as_json, detailed=detailed)
    # The execution may have started a moment ago, so that Step Functions does not know it yet.
    name = Follower(account, arn, report.progress).described().get("name") or arn
    return _followed(account, arn, report, f"{name}: {arn}")


@cli.command()
@one_pair_option
@json_option
@stack_option
def status(*, account: Account, pair: str | None, as_json: bool) -> int:
    """Show which server is live and which execution holds the lock.

    It also shows where both addresses are. Without --pair, it shows all pairs.
    """
    pairs = standings(account, chosen_pairs(account, pair), account.records())
    if as_json:
        return _json({"pairs": [standing.to_json() for standing in pairs]})
    return _tables([standing.lines(account.command) for standing in pairs])


@cli.command()
@one_pair_option
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Number of executions.")
@json_option
@stack_option
def history(*, account: Account, pair: str | None, limit: int, as_json: bool) -> int:
    """Show the last executions.

    It shows the start, the outcome, both servers and the duration of each execution, and who started it.
    """
    if pair is not None:
        chosen_pairs(account, pair)
    executions, why_unknown = entries(account, pair=pair, limit=limit)
    if why_unknown:
        Screen(sys.stderr).line(why_unknown, "yellow")
    if as_json:
        return _json({"executions": [entry.to_json() for entry in executions]})
    screen = Screen(sys.stdout)
    for line in columns(entry.row() for entry in executions) or ["No executions yet."]:
        screen.line(line)
    return OK


@cli.command(epilog=CODES)
@pair_option
@dry_run_option
@report_options
def rollback(*, account: Account, as_json: bool, detailed: bool, **request: Any) -> int:
    """Make the server live again that was live before the last cutover.

    The workflow decides what that is, skips the same checks as `start --emergency`, and makes a running execution of
    the pair roll back. Requested again, it changes nothing (ALREADY_LIVE).
    """
    request |= {"rollback": True}
    return _started(account, _new_name("rollback-"), request, Report(as_json=as_json, detailed=detailed))


@cli.command(epilog=CODES)
@pair_option
@report_options
def unlock(*, account: Account, pair: str | None, as_json: bool, detailed: bool) -> int:
    """Repair the pair of a dead lock, and release the lock.

    A lock is dead if its execution has ended. The repair waits until that execution's last call is over, puts staging
    on the idle server, keeps production where it is, and releases the lock. It refuses a lock whose execution runs.
    """
    report = Report(as_json=as_json, detailed=detailed)
    request = {"pair": chosen_pair(account, pair).name}
    return _started(account, _new_name("unlock-"), request, report, repair=True)


@cli.command()
@pair_option
@json_option
@stack_option
def commands(*, account: Account, pair: str | None, as_json: bool) -> int:
    """Print the `aws ec2` commands that make either server live.

    They need EC2 only, and are for every state that a pair can be in. Keep them where you can read them when this
    client, Step Functions or the console does not answer.
    """
    found = ways.document(account, chosen_pair(account, pair))
    return _json(found) if as_json else _tables([ways.rows(found)])


@cli.command()
@click.option("--production", metavar="IP", help="New pair: the public IP address that users connect to.")
@click.option("--staging", metavar="IP", help="New pair: the public IP address of the idle server.")
@click.option("--name", help="New pair: its name. The default is web.")
@click.option("--replace", metavar="SERVER", help="New server: the name of the server that it replaces.")
@click.option("--instance", metavar="ID", help="New server: the id of its instance.")
@click.option("--pair", metavar="NAME", help="New server: the pair; needed only if there are several.")
@json_option
@stack_option
def init(*, account: Account, as_json: bool, name: str | None, **options: str | None) -> int:  # noqa: ARG001 - it is always JSON
    """Print what cdk.json needs for a new pair, or for a new server of a pair.

    With --production and --staging, it finds the servers that hold these Elastic IP addresses, and prints the value of
    the context key `pairs`. With --replace and --instance, it checks the instance, and prints the pair's new `servers`.
    """
    given = {key for key, value in options.items() if value is not None}
    if given == {"production", "staging"}:
        return _new_pair(account, str(options["production"]), str(options["staging"]), "web" if name is None else name)
    if {"replace", "instance"} <= given <= {"replace", "instance", "pair"} and name is None:
        return _new_server(account, str(options["replace"]), str(options["instance"]), options["pair"])
    raise click.UsageError("Use --production and --staging, for a new pair, or --replace and --instance.")


def _new_server(account: Account, name: str, instance_id: str, pair: str | None) -> int:
    if not re.fullmatch("i-[0-9a-f]{8,17}", instance_id):
        raise click.BadParameter(f"{plain(instance_id)!r} is not the id of an instance", param_hint="--instance")
    chosen = chosen_pair(account, pair)
    found = replaced_server(account, chosen, name, instance_id)
    Screen(sys.stderr).line(f"Put this into the pair {chosen.name} in cdk.json, then deploy: `make deploy`.")
    return _json({chosen.name: found})


def _new_pair(account: Account, production: str, staging: str, name: str) -> int:
    for option, value in (("--production", production), ("--staging", staging)):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            raise click.BadParameter(f"{plain(value)!r} is not an IPv4 address", param_hint=option) from None
    if production == staging:
        raise click.BadParameter("this is also the production address", param_hint="--staging")
    if not re.fullmatch(NAME_PATTERN, name):
        raise click.BadParameter("use 1 to 64 letters, digits, -, _ and .; no -, _ or . first", param_hint="--name")
    pair = described_pair(account, production=production, staging=staging)
    notes = Screen(sys.stderr)
    notes.line("Put this into cdk.json as the value of context.pairs, or add it to the pairs there.")
    notes.line("The health check is HTTP on port 80, path /. To change it, see `healthCheck` in docs/configuration.md.")
    return _json({name: pair})


def main(words: Sequence[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run a command. Returns its exit code. Tests give a `session`; the default is boto3's own."""
    # Python has no stream if the file is closed (`>&-`).
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(cli.main(words, PROGRAM, standalone_mode=False, obj=session) or OK)
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        return _failed(usage.getvalue(), error.exit_code)
    except Problem as problem:
        text, commands = split(problem)
        return _failed(f"cutover.py: {text}", problem.exit_code, "red", commands)
    except AWS_ERRORS as error:
        return _failed(f"cutover.py: {sentence(error)}", CLIENT_FAILED, "red")
    except (OSError, SystemExit) as error:  # click exits after a broken pipe, and writes the help itself
        silence(sys.stdout)
        reason = getattr(error, "strerror", None) or "Broken pipe"
        return _failed(f"cutover.py: The output could not be written: {reason}.", INTERRUPTED)
    except (KeyboardInterrupt, click.Abort) as error:
        # click raises Abort from the exception that interrupted it.
        return 128 + signal.SIGTERM if isinstance(error.__cause__ or error, Terminated) else INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(text: str, code: int, style: str = "", commands: Sequence[str] = ()) -> int:
    screen = Screen(sys.stderr)
    with contextlib.suppress(OutputClosed):
        for line in text.splitlines():
            screen.line(line, style)
        for command in commands:
            screen.command(command)
    return code


def _started(account: Account, name: str, request: JsonObject, report: Report, *, repair: bool = False) -> int:
    # An unset variable in CI, which is an empty text, must not become the idle server: the workflow refuses it.
    request = {key: value for key, value in request.items() if value not in (None, False)}
    arn = account.arn_of(name, repair=repair)
    with _interruptible(account, arn, "It may have been started"):
        is_new = account.start(name, request, repair=repair)
    existing = "already exists with the same input, so nothing was started"
    return _followed(account, arn, report, f"{name} {'started' if is_new else existing}: {arn}")


def _followed(account: Account, arn: str, report: Report, heading: str) -> int:
    with _interruptible(account, arn, "It continues"):
        report.progress.line(heading, "bold")
        result = Follower(account, arn, report.progress).result()
    return report.of(result)


@contextlib.contextmanager
def _interruptible(account: Account, arn: str, state: str) -> Iterator[None]:
    """If interrupted, or if the execution cannot be followed: stops nothing, and prints how to follow and stop it."""
    try:
        yield
    except (KeyboardInterrupt, OutputClosed, CannotFollow, *AWS_ERRORS) as error:
        notes = Screen(sys.stderr)
        if isinstance(error, KeyboardInterrupt):
            notes.line("")
            notes.line("Interrupted. Nothing was stopped.", "yellow")
        # A call without an answer may have had an effect.
        elif not isinstance(error, CannotFollow | OutputClosed) and not is_transient(error):
            raise
        notes.line(f"{state}: {arn}", "bold")
        notes.line("To follow it:")
        notes.command(account.command("watch", arn))
        notes.line("To stop it (the repair then runs automatically, and production stays where it is):")
        notes.command(f"aws stepfunctions stop-execution --execution-arn {shlex.quote(arn)}")
        raise


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _json(document: Any) -> int:
    Screen(sys.stdout).json(document)
    return OK


def _tables(tables: list[list[tuple[str, str]]]) -> int:
    screen = Screen(sys.stdout)
    for number, rows in enumerate(tables):
        if number:
            screen.line("")
        screen.table(rows, "bold")
    return OK


def _new_name(prefix: str) -> str:
    """A unique name: if the SDK sends StartExecution twice, the second call starts nothing."""
    return f"{prefix}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
