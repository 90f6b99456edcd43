"""The fixtures of the suite. Nothing is called before the tests are collected; a refusal ends pytest with one message.

`make acceptance` runs it against the AWS of the environment. It changes only a pair that is tagged as a test pair.
"""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.acceptance.answers import Answers, other_endpoint
from tests.acceptance.begun import Begun, begin
from tests.acceptance.discovery import DEFAULT_NAME, Refused, find_pair, stack_of
from tests.acceptance.move_charge import number_of_moves, warn
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.progress import Progress
from tests.acceptance.soundness import Soundness

Status = tuple[str, str, str | tuple[str, dict[str, bool]]]
PROGRESS = pytest.StashKey[Progress]()
ANSWERS = pytest.StashKey[Answers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance")
    group.addoption("--name", help=f"the `name` of the stack; default {DEFAULT_NAME}, or EIP_CUTOVER_STACK")
    group.addoption("--pair", help="the test pair; needed only if the stack has several pairs")
    group.addoption(
        "--moves", type=number_of_moves, help="measure what so many moves cost users, and test nothing else"
    )
    group.addoption("--from", help="where it runs, in words for the report on moves")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--moves` only the moves, and without it everything else."""
    wanted = config.getoption("--moves", default=None)
    chosen = [item for item in items if (item.path.stem == "test_moves") == bool(wanted)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[PROGRESS] = progress = Progress()
    if not config.option.verbose:
        config.option.verbose = -1  # no dots
    config.pluginmanager.register(Report(progress), "progress of the suite")


@pytest.fixture(scope="session")
def soundness(request: pytest.FixtureRequest) -> Iterator[Soundness]:
    """Of the test pair, which is sound from here on, and as it was at first at the end."""
    name = request.config.getoption("--name", default=None)
    stack = stack_of(name) if name else os.environ.get("EIP_CUTOVER_STACK") or stack_of(DEFAULT_NAME)
    progress = request.config.stash[PROGRESS]
    try:
        pair = find_pair(progress, stack=stack, pair=request.config.getoption("--pair", default=None))
    except Refused as refusal:
        pytest.exit(str(refusal), returncode=pytest.ExitCode.USAGE_ERROR)
    warn(progress, request.config.getoption("--moves", default=None))
    soundness = Soundness(pair)
    soundness.restore()
    yield soundness
    progress.heading("At the end")
    soundness.restore()


@pytest.fixture(scope="session")
def pair(soundness: Soundness) -> PairOnAws:
    """The test pair, as the tests before have left it."""
    return soundness.pair


@pytest.fixture
def sound(soundness: Soundness) -> PairOnAws:
    """The pair, sound: production on one server, staging on the other, a good release on both, no lock."""
    soundness.make_sound()
    return soundness.pair


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest, pair: PairOnAws) -> Answers:
    """What AWS answers to the questions. Printed at the end of the run."""
    endpoint = other_endpoint(pair.client("ec2").meta.endpoint_url)
    request.config.stash[ANSWERS] = answers = Answers(pair.region, endpoint)
    return answers


@pytest.fixture(scope="session")
def begun(pair: PairOnAws) -> Begun:
    """What AWS shows late: it begins before the first question, and is asked by the last tests of the suite."""
    return begin(pair)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    answers = config.stash.get(ANSWERS, None)
    if answers and answers.rows():
        answers.write()
        terminalreporter.section("answers: rows for docs/aws-facts.md")
        terminalreporter.write_line(answers.rows())
    if answers and answers.unanswered():
        terminalreporter.section("questions without an answer")
        terminalreporter.write_line(answers.unanswered())


class Report:
    """Lines about the tests beside those about the steps, in place of pytest's dots."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tests: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tests = [item.nodeid for item in session.items]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        number, name = self._tests.index(nodeid) + 1, nodeid.rpartition("::")[2].replace("_", " ")
        self._progress.heading(f"{number} of {len(self._tests)}: {name}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            reason = f": {report.longrepr[2]}" if isinstance(report.longrepr, tuple) else ""
            self._progress.step(f"{report.outcome.upper()} in {report.duration:.1f} s{reason}")

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        category, _letter, word = yield
        return category, "", word
