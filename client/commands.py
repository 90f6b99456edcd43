"""The commands, their options and their exit codes."""

import io
import ipaddress
import re
import shlex
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

import boto3
import click

from client.account import STACK, Account, AwsError, Problem
from client.executions import CannotFollow, Follower, answered, entries, row
from client.printed import described_pair, replaced_server, ways
from client.result import CLIENT_FAILED, INTERRUPTED, MEANINGS, OK
from client.screen import PROGRAM, JsonObject, OutputClosed, Rows, Screen, columns, plain, silence
from client.status import chosen_pair, chosen_pairs, server_named, standings
from client.verify import verified
from domain.pair import NAME_PATTERN
from domain.release_commands import RELEASE_PATTERN

# StartExecution accepts other characters, but such an execution may not be logged: API reference of StartExecution.
EXECUTION_NAME = "[0-9A-Za-z_-]{1,80}"
CODES = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in sorted(MEANINGS.items()))


def seconds_of(text: str) -> int | None:
    """Of `15m`, `90s`, `1h` or seconds; None if that is longer than the workflow waits."""
    number = re.fullmatch("([0-9]{1,6})([smh]?)", text)
    seconds = int(number[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[number[2]] if number else -1
    return seconds if 0 <= seconds <= 3600 else None


def option(names: str, metavar: str | None, text: str, rule: str = "", read: Any = str, **more: Any) -> click.Option:
    """An option; without `metavar`, a flag. Its value is what `read` returns, or must match the pattern `read`. If that
    returns None or raises ValueError, the value does not keep the rule."""

    def value_of(given: str) -> Any:
        with suppress(ValueError):
            value = (re.fullmatch(read, given) and given) if isinstance(read, str) else read(given)
            if value is not None:
                return value
        raise click.BadParameter(f"{plain(given)!r} is not {rule}")

    kind: Any = {"type": value_of} if metavar else {"is_flag": True}
    return click.Option(names.split(), metavar=metavar, help=text, **{**kind, **more})


PAIR = option("--pair", "NAME", "The pair; needed only if there are several.")
ONE_PAIR = option("--pair", "NAME", "Show only this pair.")
DRY_RUN = option("--dry-run dryRun", None, "Check everything, but change nothing.")
COMMON = [
    option("--json as_json", None, "Print one JSON document on standard output."),
    option("--stack account", "NAME", "The stack's name.", envvar="EIP_CUTOVER_STACK", default=STACK, show_default=True,
           show_envvar=True, callback=lambda context, _option, name: Account(context.obj, stack=name)),
]  # fmt: skip
REPORT = [option("--detailed-exit-code detailed", None, "Exit with 3, 4 or 5 instead of 0: see below."), *COMMON]
START = [
    option("--server serverName", "NAME", "Server to make live; else the idle server. Set it in CI."),
    option("--release", "RELEASE", "Deploy this release to the idle server first, by the pair's `deploy`.",
           "a release: use 1 to 128 letters, digits, -, _, ., +, / and =", RELEASE_PATTERN),
    DRY_RUN,
    option("--expected-release expectedRelease", "RELEASE", "Refuse to switch to another release."),
    option("--emergency", None, "Skip the checks of the live server and the alarms that ring already."),
    option("--wait waitSeconds", "DURATION", "How long to wait for another execution of the pair, such as 15m or 90s; "
           "at most 1h.", "a duration of at most 1h, such as 15m, 90s or 900", seconds_of),
    option("--name", "NAME", "Execution name, for example commit and attempt. Reusing a name follows the existing "
           "execution instead of starting another.", "a name: use 1 to 80 of the characters 0-9, A-Z, a-z, - and _",
           EXECUTION_NAME),
]  # fmt: skip
LIMIT = option("--limit", "NUMBER", "Number of executions.", type=click.IntRange(1, 100), default=10, show_default=True)
IPV4: Any = "an IPv4 address", lambda text: str(ipaddress.IPv4Address(text))
INIT = [
    option("--production", "IP", "New pair: the public IP that users connect to.", *IPV4),
    option("--staging", "IP", "New pair: the public IP of the idle server.", *IPV4),
    option("--name", "NAME", "New pair: its name. The default is web.",
           "a name: use 1 to 64 letters, digits, -, _ and .; no -, _ or . first", NAME_PATTERN),
    option("--replace", "SERVER", "New server: the name of the server that it replaces."),
    option("--instance", "ID", "New server: the id of its instance.", "the id of an instance", "i-[0-9a-f]{8,17}"),
    option("--pair", "NAME", "New server: the pair; needed only if there are several."),
]  # fmt: skip


@click.group(epilog=CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Switch a pair's production address to its idle server, and show the state of the pair.

    The account and the Region come from your AWS settings (AWS_PROFILE, AWS_REGION, ...). Everything else comes from
    the outputs of the stack."""


@cli.command(epilog=CODES, params=[PAIR, *START, *REPORT])
def start(*, account: Account, as_json: bool, detailed: bool, **request: Any) -> int:
    """Start a cutover and follow it until it ends."""
    pair, server = request["pair"], request["serverName"]
    with suppress(AwsError):  # if the pairs cannot be read, the workflow refuses a misspelt name later
        if (pair, server) != (None, None) and account.pairs:
            chosen = chosen_pairs(account, pair)
            if server is not None and len(chosen) == 1:
                server_named(chosen[0], server)
    return _started(account, "cutover", request, as_json=as_json, detailed=detailed)


@cli.command(epilog=CODES, params=[click.Argument(["execution"], required=False), *REPORT])
def watch(*, account: Account, execution: str | None, **report: bool) -> int:
    """Follow an execution that was started elsewhere.

    EXECUTION is a name or an ARN. The default is the running execution, or the newest if no execution runs."""
    if execution is None:
        newest = next(account.executions(statusFilter="RUNNING"), None) or next(account.executions(), None)
        if newest is None:
            raise Problem(f"There is no execution yet. Start one with:\n{account.command('start')}")
        execution = newest["executionArn"]
    return _followed(account, account.arn_of(execution), "", **report)


@cli.command(params=[ONE_PAIR, *COMMON])
def status(*, account: Account, pair: str | None, as_json: bool) -> None:
    """Show which server is live, where both addresses are, and which execution holds the lock, of all pairs."""
    pairs = standings(account, chosen_pairs(account, pair))
    document = {"pairs": [standing.to_json() for standing in pairs]}
    _show(document, (standing.lines(account.command) for standing in pairs), as_json=as_json)


@cli.command(params=[ONE_PAIR, LIMIT, *COMMON])
def history(*, account: Account, pair: str | None, limit: int, as_json: bool) -> None:
    """Show the start, the outcome, both servers and the duration of the last executions, and who started them."""
    if pair is not None:
        chosen_pairs(account, pair)
    executions, why_unknown = entries(account, pair=pair, limit=limit)
    if why_unknown:
        Screen(sys.stderr).line(why_unknown, "yellow")
    lines = columns([row(each) for each in executions]) or ["No executions yet."]
    _show({"executions": executions}, [[("", line) for line in lines]], as_json=as_json)


@cli.command(epilog=CODES, params=[click.Argument(["execution"]), *COMMON])
def verify(*, account: Account, execution: str, as_json: bool) -> int:
    """Check the guarantees against the history of an execution, and of its repair.

    EXECUTION is a name or an ARN. It prints who started and approved it, each check, each change, and whether each
    guarantee was kept. The exit code is 1 if one is broken. Changes are compared with CloudTrail, if that is permitted.
    """
    document, tables = verified(account, execution)
    code = OK if document["kept"] else CLIENT_FAILED
    _show({**document, "exitCode": code}, tables, as_json=as_json)
    return code


@cli.command(epilog=CODES, params=[PAIR, DRY_RUN, *REPORT])
def rollback(*, account: Account, pair: str | None, dryRun: bool, **report: Any) -> int:  # noqa: N803
    """Make the server live again that was live before the last cutover.

    The workflow decides what that is, skips the same checks as `start --emergency`, and makes a running execution of
    the pair roll back. Requested again, it changes nothing (ALREADY_LIVE)."""
    return _started(account, "rollback", {"pair": pair, "dryRun": dryRun, "rollback": True}, **report)


@cli.command(params=[PAIR, *COMMON])
def approve(**options: Any) -> None:
    """Let the execution that waits for approval continue. Your name is recorded."""
    _answer(approves=True, **options)


@cli.command(params=[PAIR, option("--reason", "TEXT", "Why, for those who read the outcome."), *COMMON])
def reject(**options: Any) -> None:
    """End the execution that waits for approval. Production stays where it is. Your name is recorded."""
    _answer(approves=False, **options)


@cli.command(epilog=CODES, params=[PAIR, *REPORT])
def unlock(*, account: Account, pair: str | None, **report: Any) -> int:
    """Repair the pair of a dead lock, and release the lock.

    A lock is dead if its execution has ended. The repair waits until that execution's last call is over, puts staging
    on the idle server, keeps production where it is, and releases the lock. It refuses a lock whose execution runs."""
    return _started(account, "unlock", {"pair": chosen_pair(account, pair).name}, repair=True, **report)


@cli.command(params=[PAIR, *COMMON])
def commands(*, account: Account, pair: str | None, as_json: bool) -> None:
    """Print the `aws ec2` commands that make either server live.

    They need EC2 only, and are for every state that a pair can be in. Keep them where you can read them when this
    client, Step Functions or the console does not answer."""
    document, rows = ways(account, chosen_pair(account, pair))
    _show(document, [rows], as_json=as_json)


@cli.command(params=[*INIT, *COMMON])
def init(*, account: Account, as_json: bool, **options: Any) -> None:  # noqa: ARG001 - it is always JSON
    """Print what cdk.json needs for a new pair, or for a new server of a pair.

    With --production and --staging, it finds the servers that hold these Elastic IP addresses, and prints the value of
    the context key `pairs`. With --replace and --instance, it checks the instance, and prints the pair's new `servers`.
    """
    given = {key: value for key, value in options.items() if value is not None}
    notes = Screen(sys.stderr)
    if given.keys() - {"name"} == {"production", "staging"}:
        name = given.pop("name", "web")
        if given["production"] == given["staging"]:
            raise click.BadParameter("this is also the production address", param_hint="--staging")
        found = described_pair(account, **given)
        notes.line("Put this into cdk.json as the value of context.pairs, or add it to the pairs there.")
        notes.line("The health check is HTTP on port 80, path /. To change it: `healthCheck` in docs/configuration.md.")
    elif given.keys() - {"pair"} == {"replace", "instance"}:
        pair = chosen_pair(account, given.get("pair"))
        name, found = pair.name, replaced_server(account, pair, given["replace"], given["instance"])
        notes.line(f"Put this into the pair {name} in cdk.json, then deploy: `make deploy`.")
    else:
        raise click.UsageError("Use --production and --staging, for a new pair, or --replace and --instance.")
    Screen(sys.stdout).json({name: found})


def main(words: Sequence[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run a command. Returns its exit code. Tests give a `session`; the default is boto3's own."""

    def terminate(number: int, _frame: object) -> NoReturn:  # CI cancels a job by SIGTERM
        raise KeyboardInterrupt(number)

    # Python has no stream if the file is closed (`>&-`).
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        return int(cli.main(words, PROGRAM, standalone_mode=False, obj=session) or OK)
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        return _failed(error.exit_code, *usage.getvalue().splitlines())
    except Problem as error:
        return _failed(error.exit_code, f"cutover.py: {error}", style="red")
    except (OSError, SystemExit) as error:  # click exits after a broken pipe, and writes the help itself
        silence(sys.stdout)
        reason = getattr(error, "strerror", None) or "Broken pipe"
        return _failed(INTERRUPTED, f"cutover.py: The output could not be written: {reason}.")
    except (KeyboardInterrupt, click.Abort) as error:
        # click raises Abort from the exception that interrupted it.
        return 128 + signal.SIGTERM if (error.__cause__ or error).args == (signal.SIGTERM,) else INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(code: int, *lines: str, style: str = "") -> int:
    with suppress(OutputClosed):
        for line in lines:
            Screen(sys.stderr).line(line, style)
    return code


def _answer(*, account: Account, pair: str | None, as_json: bool, **answer: Any) -> None:
    done = answered(account, chosen_pair(account, pair).name, **answer)
    what = f"pair {done['pair']}, {done['server']}, release {done['release'] or 'unknown'}, by {done['by']}"
    follow = account.command("watch", done["execution"])
    _show(done, [[(done["answer"], what), ("to follow", f"run:\n{follow}")]], as_json=as_json)


def _started(account: Account, command: str, request: JsonObject, *, repair: bool = False, **report: Any) -> int:
    """Start an execution with this input, and the name that is in it or a new one, and follow it."""
    # Unique: if the SDK sends StartExecution twice, the second call starts nothing.
    name = request.pop("name", None) or f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    # An unset variable in CI, which is an empty text, must not become the idle server: the workflow refuses it.
    request = {key: value for key, value in request.items() if value not in (None, False)}
    arn = account.arn_of(name, repair=repair)
    with _interruptible(account, arn, "It may have been started"):
        how = "started" if account.start(arn, request) else "already exists with the same input, so nothing was started"
    return _followed(account, arn, f"{name} {how}: {arn}", **report)


def _followed(account: Account, arn: str, heading: str, *, as_json: bool, detailed: bool) -> int:
    """Follow an execution and print its result. Returns the exit code."""
    screen = Screen(sys.stderr if as_json else sys.stdout)
    follower = Follower(account, arn, screen)
    # Step Functions may not know yet an execution that someone else has just started.
    heading = heading or f"{follower.described().get('name') or arn}: {arn}"
    with _interruptible(account, arn, "It continues"):
        screen.line(heading, "bold")
        result = follower.result()
    code, style = result.exit_code(detailed=detailed), "bold green" if result.succeeded else "bold red"
    try:
        _show({**result.to_json(), "exitCode": code}, [result.summary()], as_json=as_json, style=style)
    except OutputClosed:
        return _failed(code, f"cutover.py: {plain(result.outcome)}; the rest could not be written.")
    return code


@contextmanager
def _interruptible(account: Account, arn: str, state: str) -> Iterator[None]:
    """If interrupted, or if the execution cannot be followed: stops nothing, and prints how to follow and stop it."""
    try:
        yield
    except (KeyboardInterrupt, OutputClosed, CannotFollow, AwsError) as error:
        notes = Screen(sys.stderr)
        if isinstance(error, KeyboardInterrupt):
            notes.line("")
            notes.line("Interrupted. Nothing was stopped.", "yellow")
        # A call without an answer may have had an effect.
        elif isinstance(error, AwsError) and not error.is_transient:
            raise
        notes.line(f"{state}: {arn}", "bold")
        notes.line(f"To follow it:\n{account.command('watch', arn)}")
        stop = f"aws stepfunctions stop-execution --execution-arn {shlex.quote(arn)}"
        notes.line(f"To stop it (the repair then runs automatically, and production stays where it is):\n{stop}")
        raise


def _show(document: JsonObject, tables: Iterable[Rows], *, as_json: bool, style: str = "bold") -> None:
    screen = Screen(sys.stdout)
    if as_json:
        screen.json(document)
        return
    for number, rows in enumerate(tables):
        if number:
            screen.line("")
        screen.table(rows, style)
