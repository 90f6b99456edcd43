"""`status`: which server is live, where both addresses of each pair are, which execution holds its lock, and what
production answers to its health check: one of the workflow's own probes per check, sent from this machine. A server is
healthy after several, so this does not say that the server is healthy."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from client.account import UNKNOWN_EXECUTION, Account, AwsError, NotAnExecution, Problem, WrongName
from client.progress import approval_in_words, command_in_words
from client.result import RUNNING, in_words
from client.screen import JsonObject, Rows, plain
from domain.events import InvalidEvent, read
from domain.lock import LAST_CALL_SECONDS, Lock, moment
from domain.pair import Address, Pair, Server
from domain.record import EMPTY, Record
from health.check import Check, CheckEvent, checks_of
from health.deadline import Stop
from health.probe import prober
from health.verdict import judge

GONE, NOT_KNOWN_YET, UNKNOWN = "GONE", "NOT_KNOWN_YET", "UNKNOWN"
AT_WORK = (*RUNNING, NOT_KNOWN_YET)


@dataclass(frozen=True)
class Answer:
    """What a check of production found. `good` is None if nothing was sent; `error` then says why."""

    url: str | None
    status: int | None = None
    error: str | None = None
    good: bool | None = None

    def __str__(self) -> str:
        if self.good is None:
            return f"not checked: {self.error}"
        asked = self.url if str(self.url).startswith("tcp:") else f"GET {self.url}"
        answer = f"{self.status or ('a connection' if self.good else 'no answer')} to {asked} from this machine"
        return answer if self.good else f"{answer}: {self.error}"


class Standing:
    """The state of a pair now, and its record. `holder_status` is the status of the execution that holds the lock: GONE
    if Step Functions does not know that execution, NOT_KNOWN_YET if the lock is also so new that this may change,
    UNKNOWN if it names no execution. It `is_sound` if production is on one server and staging on the other."""

    def __init__(
        self, pair: Pair, addresses: Mapping[str, Address], record: Record, status: str | None, answers: list[Answer]
    ) -> None:
        self.pair, self.holder_status, self.answers = pair, status, answers
        self.production, self.staging = addresses.get(pair.production), addresses.get(pair.staging)
        self.live = self.production.server if self.production else None
        live = pair.server_named(self.live)
        self.idle = pair.other(live).name if live else None
        self.is_sound = self.idle is not None and self.staging is not None and self.staging.server == self.idle
        association = self.staging.association_id if self.staging else None
        self.record = record if status in AT_WORK else record.settled(self.live, association)
        # The cutover that made the live server live; empty if none is on record.
        last = self.record.last_cutover
        self._cutover: JsonObject = last if last and self.live and last["to"] == self.live else {}

    def to_json(self) -> JsonObject:
        lock, record = self.record.lock, self.record
        return {
            "pair": self.pair.name, "live": self.live, "idle": self.idle, "sound": self.is_sound,
            "liveSince": self._cutover.get("at"), "liveBefore": self._cutover.get("from"),
            "rollbackTo": record.rollback_to.to_json(), "releases": record.releases,
            "answers": [vars(answer) for answer in self.answers],
            "production": self.production and self.production.to_json(),
            "staging": self.staging and self.staging.to_json(),
            "lastCutover": record.last_cutover, "lastOutcome": record.last_outcome, "readiness": record.readiness,
            "lock": lock and {
                "execution": lock.execution, "since": lock.since, "server": lock.server,
                "bakesUntil": lock.bakes_until or None, "approvesUntil": lock.approves_until or None,
                "command": lock.command, "status": self.holder_status,
            },
        }  # fmt: skip

    def lines(self, command: Callable[..., str]) -> Rows:
        """Labels and values; `command` makes a command from its words."""
        missing = "{} is not an address of this account and Region"
        last, lock = self.record.last_outcome, self.record.lock
        # A command may outlive its execution.
        ran, waits = (lock and lock.command), lock and lock.approval_token and self.holder_status in RUNNING
        ended = last and plain(f"{last['outcome']} at {last['at']}, of {str(last['execution']).rsplit(':', 1)[-1]}")
        return [
            ("pair", self.pair.name),
            ("live", plain(self._live_line())),
            ("rollback to", plain(self._rollback_line())),
            ("production", in_words(self.production) or missing.format(self.pair.production)),
            ("staging", in_words(self.staging) or missing.format(self.pair.staging)),
            ("addresses", self._address_line(command)),
            *(("answers", str(answer)) for answer in self.answers),
            *(("release", plain(release)) for release in self._releases()),
            *([("last outcome", ended)] if ended else []),
            *([("readiness", readiness_in_words(checked))] if (checked := self.record.readiness) else []),
            ("lock", self._lock_line(command)),
            *([("command", f"sent at {plain(ran.get('sent'), 40)}: {command_in_words(ran)}")] if ran else []),
            *([("approval", approval_in_words(lock, command))] if lock and waits else []),
        ]

    def _releases(self) -> Iterator[str]:
        instances = {server.name: server.instance_id for server in self.pair.servers}
        for server, found in self.record.releases.items():
            how = "deployed" if found["deployed"] else "not deployed completely, begun"
            by = f"at {found['at']} by {found['execution'].rsplit(':', 1)[-1]}"
            if found["instanceId"] in ("", instances.get(server)):  # if not, another instance has replaced it
                yield f"{found['release']} on {server}, {how} {by}"

    def _live_line(self) -> str:
        record, live = self.record, self.live or "no server of the pair"
        if cutover := self._cutover:
            since = cutover["at"] or "an execution that was interrupted"
            how = ", by a rollback" if cutover["rollback"] else ""
            return f"{live}, since {since}{how}; before that, {cutover['from'] or 'no server'}"
        # An execution that holds the lock, or was interrupted, may have moved production itself.
        if (last := record.last_cutover) and record.lock is None and record.interrupted is None:
            return f"{live}; the last cutover was to {last['to']}, at {last['at']}"
        return live

    def _rollback_line(self) -> str:
        back, lock = self.record.rollback_to, self.record.lock
        if lock and self.holder_status in AT_WORK:
            return "waits for the execution below" if lock.rollback else "the execution below is asked to roll back"
        if back.server is None:
            return f"no server: {back.why}"
        now = self.pair.server_named(back.server)
        if now is None or back.instance_id not in (None, now.instance_id):
            return f"no server: {back.server}, which was {back.instance_id or 'live before'}, was replaced"
        return f"{back.server}, which is live already" if back.server == self.live else back.server

    def _address_line(self, command: Callable[..., str]) -> str:
        if self.is_sound:
            return "in place"
        if self.holder_status in AT_WORK:
            return "being moved by the execution below"
        if self.production is None or self.staging is None:
            return "not in place; correct the pair in cdk.json and deploy it"
        if any(address.is_associated and address.server is None for address in (self.production, self.staging)):
            return "not in place; an address is outside the pair: docs/runbook.md says what to do"
        commands = [command("start", "--pair", self.pair.name, "--server", server.name) for server in self.pair.servers]
        return "\n".join(["not in place; name the server that should be live:", *commands])

    def _lock_line(self, command: Callable[..., str]) -> str:
        lock, status = self.record.lock, self.holder_status
        if lock is None:
            return "free"
        purpose = f"roll back to {lock.server}" if lock.rollback else f"make {lock.server} live"
        held = plain(f"held by {lock.execution} since {lock.since} to {purpose}")
        if status in RUNNING:
            bakes = f", and bakes until {plain(lock.bakes_until)}" if lock.bakes_until else ""
            return f"{held}; the execution is running{bakes}"
        if status == NOT_KNOWN_YET:
            return f"{held}; Step Functions does not know the execution yet. Run `status` again in a minute"
        if status == UNKNOWN:
            return f"{held}; the holder is not an execution: docs/runbook.md, a dead lock"
        ended = f"the execution {'no longer exists' if status == GONE else f'ended {status}'}"
        then = "The repair or the next execution takes it over. If neither does:"
        return f"dead: {held}; {ended}. {then}\n{command('unlock', '--pair', self.pair.name)}"


def readiness_in_words(result: JsonObject, now: datetime | None = None) -> str:
    """The result of the last evaluation (`Record.readiness`), and below it each reason and warning."""
    now = now or datetime.now(UTC)
    state = "ready" if result["ready"] else "not ready"
    since, checked = moment(result["since"]), moment(result["checkedAt"])
    if since and not result["ready"]:
        state += f" since {since.strftime('%A') if now - since < timedelta(days=6) else since.date()}"
    lines = [f"{state}, checked {ago(now - checked) if checked else 'at an unknown time'}", *result["reasons"]]
    return "\n".join(map(plain, [*lines, *(f"warning: {each}" for each in result["warnings"])]))


def ago(time: timedelta) -> str:
    for unit, seconds in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(max(time.total_seconds(), 0) // seconds):
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "less than a minute ago"


def chosen_pairs(account: Account, name: str | None) -> list[Pair]:
    """The pair of this name, or all pairs. Raises WrongName if there is no such pair."""
    if not account.pairs:
        raise Problem(f"The stack {account.stack_name} publishes no pairs under {account.output('PairsPath')}.")
    if name not in (None, *account.pairs):
        raise WrongName(f"There is no pair {plain(name)!r}; the stack has {', '.join(account.pairs)}.")
    return [pair for pair in account.pairs.values() if name in (None, pair.name)]


def chosen_pair(account: Account, name: str | None) -> Pair:
    """The pair of this name, or the only pair. Raises Problem if there is no such pair, or if there are several."""
    pairs = chosen_pairs(account, name)
    if len(pairs) > 1:
        raise Problem(f"Choose a pair with --pair. The stack has {', '.join(pair.name for pair in pairs)}.")
    return pairs[0]


def server_named(pair: Pair, name: str) -> Server:
    """The server of this name, in any case, as in the workflow's input. Raises WrongName."""
    for server in pair.servers:
        if server.name.lower() == name.lower():
            return server
    raise WrongName(f"Pair {pair.name} has no server {plain(name)!r}; its servers are {pair.server_names}.")


def standings(account: Account, pairs: Sequence[Pair]) -> list[Standing]:
    """The state of these pairs, with their records, and what production answers."""
    records, addresses, found = account.records(), account.addresses(pairs), []
    answered = answers((pair, addresses.get(pair.production)) for pair in pairs)
    for pair, its_answers in zip(pairs, answered, strict=True):
        record = records.get(pair.name, EMPTY)
        status = holder_status(account, record.lock) if record.lock else None
        found.append(Standing(pair, addresses, record, status, its_answers))
    return found


def holder_status(account: Account, lock: Lock) -> str:
    try:
        return str(account.describe(lock.execution)["status"])
    except NotAnExecution:
        return UNKNOWN
    except AwsError as error:
        if error.code != UNKNOWN_EXECUTION:
            raise
        since = moment(lock.since)  # DescribeExecution is eventually consistent
        is_new = since and error.moment - since < timedelta(seconds=LAST_CALL_SECONDS)
        return NOT_KNOWN_YET if is_new else GONE


def answers(standing: Iterable[tuple[Pair, Address | None]], *, longest_seconds: float = 5) -> list[list[Answer]]:
    """For each pair with its production address, the answers to its checks, in their order."""
    plans = [_checks(pair, production, longest_seconds) for pair, production in standing]
    probe = prober(check for plan in plans for check in plan if isinstance(check, Check))

    def answer(check: Check | Answer) -> Answer:
        if isinstance(check, Answer):
            return check
        finding = judge(check, probe(check, Stop()), 0)
        problem = finding.problem
        error = (f"expected {check.matcher}" if problem.kind == "status" else problem.text) if problem else None
        return Answer(check.short_url, finding.status, error, finding.is_good)

    with ThreadPoolExecutor(max_workers=256) as threads:
        return [list(found) for found in [threads.map(answer, plan) for plan in plans]]


def _checks(pair: Pair, production: Address | None, longest_seconds: float) -> Sequence[Check | Answer]:
    """The checks of production, and in place of those that cannot be sent, why."""
    if not pair.health_check:
        return [Answer(None, error="the stack publishes no health check of this pair")]
    if production is None or not production.is_associated:
        return [Answer(None, error="production is on no server")]
    server = {"name": production.server, "instanceId": production.instance_id}
    address = {"name": "production", "publicIp": production.public_ip}
    asked = {"execution": "", "server": server, "address": address, "healthCheck": list(pair.health_check)}
    try:
        checks = checks_of(read(CheckEvent, asked))
    except InvalidEvent:
        return [Answer(None, error="the health check was published by another version of the stack")]
    return [
        Answer(None, error=f"{check.protocol} on port {check.port} is checked from inside the VPC")
        if configured.get("via") == "private"
        else replace(check, timeout_seconds=min(check.timeout_seconds, longest_seconds))
        for configured, check in zip(pair.health_check, checks, strict=True)
    ]
