"""A fresh account for each test, with a web server behind each address that answers as the address's holder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from tests.stacks.synthesis import CONTEXT, template_of
from tests.workflow.account import Account, Aws
from tests.workflow.ec2_calls import EC2Calls, watched
from tests.workflow.engine import AROUND_HANDLERS, BINDINGS, REGION, corrected_engine
from tests.workflow.replays import Replays
from tests.workflow.web import Web

HOOK = {"command": "a hook"}
OF_A_RELEASE = {
    "deploy": {"command": "deploy"}, "approval": {},
    "hooks": {"beforeCutover": [HOOK], "afterCutover": [HOOK], "afterRollback": [HOOK]},
}  # fmt: skip
# What the summary of the tests says: how much of the fault matrix, and how many causes, were counted.
COUNTS = pytest.StashKey[list[str]]()
REPLAYS = pytest.StashKey[Replays]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = []
    config.stash[REPLAYS] = Replays()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if replays := str(session.config.stash[REPLAYS]):
        session.config.stash[COUNTS].append(replays)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["counts"] = session.config.stash[COUNTS]


def pytest_testnodedown(node: Any) -> None:
    """What a worker of xdist has counted reaches the terminal."""
    node.config.stash[COUNTS] += getattr(node, "workeroutput", {}).get("counts", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for count in config.stash[COUNTS]:
        terminalreporter.write_line(count)


@pytest.fixture(autouse=True)
def replays(pytestconfig: pytest.Config) -> Iterator[None]:
    """Every execution of a test is the same on the simulation's interpreter, as far as it came."""
    replays = pytestconfig.stash[REPLAYS]
    replays.skip()
    yield
    differences = replays.run()
    assert not differences, "\n".join(differences)


@pytest.fixture(scope="session")
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """With the states of a bake and of a release, which the shipped configuration does not have."""
    pairs = {name: {**pair, "bakeSeconds": 60, **OF_A_RELEASE} for name, pair in CONTEXT["pairs"].items()}
    return template_of(tmp_path_factory.mktemp("cdk.out"), {"pairs": pairs})


@pytest.fixture(scope="session")
def account(template: dict[str, Any]) -> Iterator[Account]:
    with corrected_engine():
        yield Account(template)


@pytest.fixture
def aws(account: Account, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Production on bittybot, staging on tao, both healthy. Nothing is left from earlier tests."""
    backend = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    for left in (backend.addresses, backend.reservations, BINDINGS):
        left.clear()
    aws = Aws(account, tmp_path, monkeypatch, (web.production_ip, web.staging_ip))
    aws.configure(port=web.port)
    web.serve(aws)
    return aws


@pytest.fixture
def ec2_calls(aws: Aws) -> Iterator[EC2Calls]:
    """The calls that the handlers make to EC2 in this test."""
    with watched(aws.production, aws.staging) as calls:
        yield calls


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """More keys of what a function returns to a state."""
    more: dict[str, dict[str, Any]] = {}

    def around(state: str, run: Callable[[], Any]) -> Any:
        return run() | more.get(state, {})

    monkeypatch.setattr("tests.workflow.engine.AROUND_HANDLERS", [*AROUND_HANDLERS, around])
    return more


@pytest.fixture
def held(aws: Aws, web: Web) -> Callable[[str], str]:
    """Starts an execution, which holds the lock and waits in the health check of an address: its ARN."""

    def start(address: str) -> str:
        aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
        web.gates[address].clear()
        arn = aws.start({})
        aws.until(lambda: web.waiting[address] > 0)
        return arn

    return start


@pytest.fixture
def stopped(aws: Aws, web: Web, held: Callable[[str], str]) -> Callable[[], str]:
    """Stops an execution while it holds the lock and production is checked: its ARN."""

    def stop() -> str:
        arn = held("production")  # moto stops it well in the middle of a call, not between states
        aws.sfn.stop_execution(executionArn=arn)
        web.open_gates()
        aws.until(lambda: aws.status(arn) == "ABORTED")
        aws.forget_notices()
        aws.configure(port=web.port)
        return arn

    return stop


@pytest.fixture
def hooks(aws: Aws, web: Web) -> Callable[..., None]:
    """Configures the hooks of the pair `web`, and more keys of it."""

    def configure(hooks: dict[str, list[dict[str, Any]]], **pair: Any) -> None:
        aws.configure(port=web.port, pair={"hooks": hooks, **pair})

    return configure


@pytest.fixture
def approval(aws: Aws, web: Web) -> Callable[..., None]:
    """The pair `web` has a deploy command and waits for approval; so many minutes, and more keys of it."""

    def configure(minutes: int = 60, **pair: Any) -> None:
        deploy, approval = {"command": "/opt/web/deploy", "timeoutSeconds": 60}, {"timeoutMinutes": minutes}
        aws.configure(port=web.port, pair={"deploy": deploy, "approval": approval, **pair})

    configure()
    return configure
