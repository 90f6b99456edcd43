"""The fixtures of the suite. Nothing is called before the tests are collected; a refusal ends pytest with one message.

The pair is found and made sound before the first test, and made sound after the last one, also after an interrupt.

`make acceptance` runs it against the AWS of the environment. It changes only a pair that is tagged as a test pair.
"""

import os
from collections.abc import Generator

import pytest

from tests.acceptance.answers import Answers, other_endpoint
from tests.acceptance.begun import Begun, begin
from tests.acceptance.discovery import DEFAULT_NAME, Refused, find_pair, stack_of
from tests.acceptance.interrupts import Interrupts, Temporary
from tests.acceptance.move_charge import number_of_moves, warn
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.progress import Progress
from tests.acceptance.soundness import Soundness

Status = tuple[str, str, str | tuple[str, dict[str, bool]]]
PROGRESS = pytest.StashKey[Progress]()
SOUNDNESS = pytest.StashKey[Soundness]()
TEMPORARY = pytest.StashKey[Temporary]()
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
    config.stash[PROGRESS] = Progress.of_the_suite = progress = Progress()
    if not config.option.verbose:
        config.option.verbose = -1  # no dots
    config.pluginmanager.register(Report(progress), "progress of the suite")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """The tests, with a pair that is found and restored before them, and restored after them, whatever happens."""
    config = session.config
    if config.option.collectonly or session.testsfailed or not session.items:
        return (yield)
    progress, soundness = config.stash[PROGRESS], Soundness(_found(config))
    config.stash[SOUNDNESS] = soundness
    config.stash[TEMPORARY] = temporary = Temporary()

    def advice() -> str:
        return f"`{_command(config)}` makes the pair sound again, once no execution of it runs. {temporary}".rstrip()

    gave_up = False

    def restore(interrupts: Interrupts) -> None:
        nonlocal gave_up
        try:
            soundness.restore()
        except Exception as error:  # whatever it is, a person must know how the pair is left
            gave_up = True
            code = pytest.ExitCode.INTERRUPTED if interrupts.interrupted else pytest.ExitCode.TESTS_FAILED
            message = f"The pair could not be made sound: {error}. {interrupts.left_as_it_is()}"
            pytest.exit(message, returncode=code)

    warn(progress, config.getoption("--moves"))
    with Interrupts(progress, look=soundness.described, advice=advice) as interrupts:
        try:
            progress.heading("Before the tests")
            restore(interrupts)
            return (yield)
        except KeyboardInterrupt:
            # Without the frames that it came through: pytest fails if one of them is at an instruction without a line.
            raise KeyboardInterrupt from None
        finally:
            interrupts.is_ending = True
            temporary.remove_all()
            if not gave_up:
                progress.heading("At the end")
                restore(interrupts)
                if left := str(temporary):
                    progress.heading(left)


def _found(config: pytest.Config) -> PairOnAws:
    name = config.getoption("--name")
    stack = stack_of(name) if name else os.environ.get("EIP_CUTOVER_STACK") or stack_of(DEFAULT_NAME)
    try:
        return find_pair(config.stash[PROGRESS], stack=stack, pair=config.getoption("--pair"))
    except Refused as refusal:
        pytest.exit(str(refusal), returncode=pytest.ExitCode.USAGE_ERROR)


def _command(config: pytest.Config) -> str:
    """What a person types to run the suite with this pair."""
    variables = {"NAME": config.getoption("--name"), "PAIR": config.getoption("--pair")}
    return " ".join(["make acceptance", *(f"{name}={value}" for name, value in variables.items() if value)])


@pytest.fixture(scope="session")
def soundness(request: pytest.FixtureRequest) -> Soundness:
    """Of the test pair, which is sound from here on, and as it was at first at the end."""
    return request.config.stash[SOUNDNESS]


@pytest.fixture(scope="session")
def temporary(request: pytest.FixtureRequest) -> Temporary:
    """What tests make beside the pair, and remove."""
    return request.config.stash[TEMPORARY]


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
