"""The checker of the guarantees: it finds what breaks one, and nothing in what keeps them all."""

from collections.abc import Callable

import pytest

from domain.lock import Lock
from domain.record import Record, RollbackTo
from guarantees.checker import GUARANTEES
from guarantees.trace import CommandBegan, Ended, Entered, Locked, Places, Seen, Unlocked
from tests.guarantees_seen_whole import CommandEnded, Disturbed, GuaranteesSeenWhole, Serving
from tests.unit.traces import (
    CHECKS,
    CUT_OVER,
    ONE,
    PAIR,
    PRODUCTION,
    REPAIR,
    SOUND,
    STAGING,
    STRANGER,
    THIRD,
    TWO,
    A,
    B,
    Trace,
    cutover,
    plan,
    record,
)

NOWHERE = {"staging": {"instanceId": None}}
COMMANDS = "aws ec2 associate-address --allocation-id {} --instance-id i-a --private-ip-address 10.0.0.1"
FOREIGN, HOOKS = Places(STRANGER, B), ["beforeCutover", "afterCutover", "afterRollback"]
BACK = {"rollback": True, "live": plan()["idle"], "idle": plan()["live"], "stagingTo": plan()["idle"]}


def checked() -> Trace:
    return cutover().swaps().passes("HealthCheckProduction")


def failed() -> Trace:
    return cutover().swaps().rolls_back().releases("RolledBack")


def interrupted(after: float = 30) -> Trace:
    """An execution was stopped with staging on no server; its lock is taken over `after` so many seconds."""
    trace = cutover().moves("DisassociateStaging", STAGING, None).ends("ABORTED", "ABORTED")
    trace.at, trace.execution = trace.at + after - 10, REPAIR
    return trace.add(Locked, REPAIR)


def repaired() -> Trace:
    trace = interrupted().passes("DescribeAddresses", output=plan(decision="REPAIR", **NOWHERE))
    return trace.moves("RepairStaging", STAGING, B)


def commands(trace: Trace, *steps: str, on: str = B) -> Trace:
    for step in steps:
        trace.add(CommandBegan, trace.execution, step, on).add(CommandEnded, trace.execution, step, on)
    return trace


def with_hooks() -> Trace:
    return commands(cutover(hooks=HOOKS), "beforeCutover0").passes("BeforeCutover")


def again(trace: Trace, **keys: object) -> Trace:
    """A second execution, which plans a cutover from a to b unless `keys` say otherwise, and may move production."""
    trace.execution = TWO
    return trace.planned(**keys).passes(*CHECKS)


def seen() -> Trace:
    return Trace().add(Seen, SOUND).someone_moves(THIRD, SOUND)


def by_the_first(trace: Trace) -> Trace:
    trace.execution = ONE
    return trace.moves("ReassociateProduction", PRODUCTION, B)


def late() -> Trace:
    trace = cutover().ends("ABORTED", "ABORTED")
    trace.at += 60
    return trace.moves("DisassociateStaging", STAGING, None)


KEPT: dict[str, Callable[[], Trace]] = {
    "a cutover of a pair that was seen before": lambda: seen().planned().passes(*CHECKS).swaps(),
    "a cutover": lambda: checked().releases("CUT_OVER", back="a"),
    "a rollback by itself": failed,
    "a refused request": lambda: Trace().passes("DescribeAddresses", output=plan()).ends("CutoverInProgress"),
    "an address that someone moved before the first change": lambda: (
        cutover().someone_moves(STAGING, Places(A, STRANGER)).ends("AddressMoved", cause="Someone else moved it.")),
    "a dry run": lambda: Trace().planned(dryRun=True).passes(*CHECKS).releases("DRY_RUN"),
    "an interrupted cutover and its repair": lambda: repaired().releases("REPAIRED"),
    "a release with hooks": lambda: (
        commands(commands(Trace().planned(deploys=True, hooks=HOOKS), "deploy").passes("DeployRelease", *CHECKS),
                 "beforeCutover0").passes("BeforeCutover").swaps().passes("HealthCheckProduction", "AfterCutover")
        .releases("CUT_OVER", back="a")),
    "hooks that are undone": lambda: commands(
        with_hooks().swaps().rolls_back().add(Entered, ONE, "AfterRollback"), "afterRollback0").releases("RolledBack"),
    "a release that was approved": lambda: (
        Trace().planned(approvalMinutes=5).passes(*CHECKS, "WaitForApproval", *CHECKS).swaps()
        .passes("HealthCheckProduction").releases("CUT_OVER", back="a")),
    "hooks of an interrupted execution that the next one undoes": lambda: (
        again(with_hooks().ends("States.Timeout", "TIMED_OUT"), hooks=HOOKS).passes("AfterRollback")
        .releases("PreflightFailed")),
    "a bake": lambda: (
        cutover(bakeSeconds=40).swaps().passes("HealthCheckProduction", "Bake", "Bake").releases("CUT_OVER", back="a")),
    "a check from the VPC": lambda: (
        Trace().planned().passes("HealthCheckStagingInVpc", *CHECKS[1:]).swaps()
        .passes("HealthCheckProduction").releases("CUT_OVER", back="a")),
    "a rollback to the server that was live before": lambda: (
        again(checked().releases("CUT_OVER", back="a"), **BACK).moves("DisassociateStaging", STAGING, None)
        .moves("ReassociateProduction", PRODUCTION, A).moves("ReassociateStaging", STAGING, B)
        .passes("HealthCheckProduction").releases("CUT_OVER", back="a")),
    "production that someone moved where staging goes, just before the call, is put back": lambda: (
        cutover().moves("DisassociateStaging", STAGING, None).moves("ReassociateProduction", PRODUCTION, B)
        .someone_moves(PRODUCTION, Places(A, None))
        .moves("ReassociateStaging", STAGING, A, described=Places(B, None))
        .moves("ReassociateStaging", PRODUCTION, B)),
    "staging that someone moved after the cutover": lambda: (
        checked().someone_moves(STAGING, Places(B, STRANGER)).passes("HealthCheckProduction")
        .releases("CUT_OVER", back="a", output={"warnings": ["Someone else moved it."]})),
    "an address that someone moved after the last look": lambda: (
        checked().someone_moves(PRODUCTION, FOREIGN).releases("CUT_OVER", back="a", output={})),
    "a server that was terminated": lambda: checked().someone_moves(None, Places(None, A)),
    "someone else's address that came after the look": lambda: (
        cutover().someone_moves(THIRD, SOUND).moves("DisassociateStaging", STAGING, None)
        .moves("ReassociateProduction", PRODUCTION, B, displaced=(THIRD,))),
    "what a source does not see": lambda: (
        cutover().moves("DisassociateStaging", STAGING, None, before=None, after=None, described=None)),
}  # fmt: skip

BROKEN: list[tuple[str, str, Callable[[], Trace]]] = [
    ("production-stays-on-a-server", "it was disassociated first", lambda: cutover().moves(
        "ReassociateProduction", PRODUCTION, None)),
    ("production-stays-on-a-server", "staging displaced it", lambda: cutover().moves("RestoreStaging", STAGING, A)),
    ("production-stays-on-a-server", "it was gone", lambda: Trace().add(Seen, SOUND).add(Seen, Places(None, B))),
    ("nothing-before-the-checks", "a check failed", lambda: Trace().planned().passes(*CHECKS[1:]).swaps()),
    ("nothing-before-the-checks", "there was no plan", lambda: Trace().moves("ReassociateProduction", PRODUCTION, B)),
    ("nothing-before-the-checks", "nobody approved", lambda: cutover(approvalMinutes=5).swaps()),
    ("nothing-before-the-checks", "a hook failed", lambda: cutover(hooks=HOOKS).swaps()),
    ("nothing-before-the-checks", "the checks were before the deployment", lambda: (
        cutover(deploys=True).passes("DeployRelease").swaps())),
    ("nothing-before-the-checks", "staging was not freed", lambda: (
        cutover().moves("ReassociateProduction", PRODUCTION, B))),
    ("described-before-and-after", "staging was moved without a look", lambda: (
        cutover().moves("DisassociateStaging", STAGING, None, described=None))),
    ("sound-after-a-failure", "staging is on no server", lambda: (
        cutover().swaps().moves("RestoreProduction", PRODUCTION, A).passes("DescribeRestored").releases("RolledBack"))),
    ("sound-after-a-failure", "the repair before it went wrong", lambda: (
        Trace(Places(A, None)).planned(**NOWHERE).moves("RepairStaging", STAGING, B, after=Places(A, STRANGER))
        .releases("StagingUnhealthy"))),
    ("the-outcome-is-true", "CUT_OVER, and staging is on no server", lambda: (
        cutover().moves("DisassociateStaging", STAGING, None).moves("ReassociateProduction", PRODUCTION, B)
        .passes("ReassociateStaging", "HealthCheckProduction").releases("CUT_OVER", back="a"))),
    ("the-outcome-is-true", "it reports other places", lambda: (
        checked().releases("CUT_OVER", back="a", output={"production": {"instanceId": A}, "staging": None}))),
    ("the-outcome-is-true", "AddressMoved after a change", lambda: (
        cutover().moves("DisassociateStaging", STAGING, None).releases("AddressMoved"))),
    ("the-outcome-is-true", "PreflightFailed after the cutover", lambda: (
        checked().rolls_back().releases("PreflightFailed"))),
    ("the-outcome-is-true", "someone moved production before the last look", lambda: (
        cutover().swaps().someone_moves(PRODUCTION, FOREIGN).passes("HealthCheckProduction", "Bake")
        .releases("CUT_OVER", back="a", output={}))),
    ("the-outcome-is-true", "nobody has moved an address", lambda: (
        cutover().ends("AddressMoved", cause="Someone else moved it."))),
    ("the-outcome-is-true", "an error that is not in the contract", lambda: cutover().releases("KeyError")),
    ("the-outcome-is-true", "RollbackFailed without commands", lambda: (
        cutover().swaps().releases("RollbackFailed", cause="A person must act."))),
    ("the-outcome-is-true", "RollbackFailed with a wrong command", lambda: (
        cutover().swaps().releases("RollbackFailed", cause=COMMANDS.format(STAGING)))),
    ("changes-follow-the-plan", "a dry run changed something", lambda: (
        cutover(dryRun=True).moves("DisassociateStaging", STAGING, None))),
    ("changes-follow-the-plan", "the wrong server in the rollback", lambda: (
        cutover().swaps().moves("RestoreProduction", PRODUCTION, A).moves("RestoreStaging", STAGING, A))),
    ("changes-follow-the-plan", "a repair moved production", lambda: (
        interrupted().passes("DescribeAddresses", output=plan(decision="REPAIR"))
        .moves("ReassociateProduction", PRODUCTION, B))),
    ("changes-follow-the-plan", "a step of the rollback put production elsewhere", lambda: (
        cutover().swaps().moves("RestoreStaging", PRODUCTION, A))),
    ("changes-follow-the-plan", "a retry ignored what the first try did", lambda: (
        cutover().moves("DisassociateStaging", STAGING, None).moves("DisassociateStaging", STAGING, None))),
    ("changes-follow-the-plan", "a change was made twice", lambda: (
        cutover().swaps().moves("RestoreProduction", PRODUCTION, A).moves("ReassociateProduction", PRODUCTION, B))),
    ("changes-follow-the-plan", "a dry run ran a command", lambda: (
        commands(cutover(dryRun=True, hooks=HOOKS), "beforeCutover0"))),
    ("changes-follow-the-plan", "it was deployed to the live server", lambda: (
        commands(Trace().planned(deploys=True), "deploy", on=A))),
    ("one-holder", "the lock was released before the rollback", lambda: (
        cutover().swaps().add(Unlocked, ONE).moves("RestoreProduction", PRODUCTION, A))),
    ("one-holder", "a late call after the takeover", lambda: by_the_first(interrupted())),
    ("one-holder", "a command without the lock", lambda: commands(cutover().add(Unlocked, ONE), "beforeCutover0")),
    ("one-holder", "a call long after the end", late),
    ("takeovers-wait", "the last call was not over", lambda: interrupted(after=20)),
    ("takeovers-wait", "the holder still runs", lambda: cutover().add(Locked, TWO)),
    ("takeovers-wait", "another execution removed the lock", lambda: cutover().add(Unlocked, ONE, TWO)),
    ("one-command-at-a-time", "one began while another ran", lambda: (
        cutover(hooks=HOOKS).add(CommandBegan, ONE, "beforeCutover0", B).add(CommandBegan, ONE, "beforeCutover1", B))),
    ("one-command-at-a-time", "one began twice", lambda: commands(cutover(), "beforeCutover0", "beforeCutover0")),
    ("one-command-at-a-time", "the lock was released meanwhile", lambda: (
        cutover().add(CommandBegan, ONE, "beforeCutover0", B).add(Unlocked, ONE))),
    ("hooks-are-undone", "they were not", lambda: with_hooks().releases("PreflightFailed")),
    ("hooks-are-undone", "those of an interrupted execution were not", lambda: (
        again(with_hooks().ends("States.Timeout", "TIMED_OUT"), hooks=HOOKS).releases("PreflightFailed"))),
    ("only-the-pair", "someone else's address was moved", lambda: cutover().moves("RestoreStaging", THIRD, B)),
    ("only-the-pair", "an address was put on another server", lambda: (
        cutover().moves("RestoreStaging", STAGING, STRANGER))),
    ("nobody-is-displaced", "someone else's address", lambda: (
        cutover().moves("DisassociateStaging", STAGING, None)
        .moves("ReassociateProduction", PRODUCTION, B, displaced=(THIRD,)))),
    ("nobody-is-displaced", "production was taken from someone else", lambda: (
        cutover().swaps().someone_moves(PRODUCTION, Places(STRANGER, A)).moves("RestoreProduction", PRODUCTION, A))),
    ("only-good-releases-go-live", "the health check of staging passed in vain", lambda: (
        Trace().add(Serving, B, False, True).planned().passes(*CHECKS).swaps())),
    ("only-good-releases-go-live", "the health check of production passed in vain", lambda: (
        Trace().add(Serving, B, True, False).planned().passes(*CHECKS).swaps().passes("HealthCheckProduction")
        .releases("CUT_OVER", back="a"))),
    ("only-good-releases-go-live", "the release was not compared", lambda: (
        Trace().add(Serving, B, True, True, "41").planned(expectedRelease="42").passes(*CHECKS).swaps())),
    ("only-good-releases-go-live", "the bake was left out", lambda: (
        cutover(bakeSeconds=60).swaps().passes("HealthCheckProduction").releases("CUT_OVER", back="a"))),
    ("only-good-releases-go-live", "the bake was shorter", lambda: (
        cutover(bakeSeconds=60).swaps().passes("HealthCheckProduction", "Bake").releases("CUT_OVER", back="a"))),
    ("rollbacks-go-to-good-servers", "a cutover to it failed", lambda: again(failed(), rollback=True).swaps()),
    ("rollbacks-go-to-good-servers", "a cutover to it was interrupted", lambda: (
        again(repaired().releases("REPAIRED"), rollback=True).swaps())),
    ("rollbacks-go-to-good-servers", "it was deployed to", lambda: (
        again(commands(Trace().planned(deploys=True), "deploy").releases("StagingUnhealthy"), rollback=True).swaps())),
    ("the-record-is-true", "it was not erased after a failed cutover", lambda: (
        cutover().swaps().rolls_back().releases("RolledBack", back="a"))),
    ("the-record-is-true", "it names a server that is bad", lambda: (
        again(failed()).add(Unlocked, TWO, record=record("PreflightFailed", back="b", execution=TWO)))),
    ("the-record-is-true", "it says another outcome", lambda: (
        checked().add(Unlocked, ONE, record=record("ALREADY_LIVE", back="a")).ends("CUT_OVER"))),
]  # fmt: skip


@pytest.mark.parametrize("trace", KEPT.values(), ids=KEPT.keys())
def test_what_keeps_every_guarantee_breaks_none(trace: Callable[[], Trace]) -> None:
    assert trace().broken() == []


@pytest.mark.parametrize(
    ("guarantee", "trace"), [pytest.param(name, trace, id=f"{name}: {what}") for name, what, trace in BROKEN]
)
def test_what_breaks_a_guarantee_is_found(guarantee: str, trace: Callable[[], Trace]) -> None:
    assert guarantee in trace().broken()


def test_each_guarantee_is_broken_by_a_trace() -> None:
    assert {name for name, _, _ in BROKEN} | {"everything-settles"} == {*GUARANTEES}


def test_an_event_is_judged_at_once() -> None:
    guarantees = GuaranteesSeenWhole(PAIR, sees_faults=False)
    (_, lost) = (guarantees.observe(Seen(at, places)) for at, places in ((1.0, SOUND), (2.0, Places(None, B))))
    assert [(each.guarantee, each.at) for each in lost] == [("production-stays-on-a-server", 2.0)]


def test_what_was_not_seen_is_not_judged() -> None:
    guarantees = GuaranteesSeenWhole(PAIR, sees_faults=False)
    assert guarantees.known == set()
    guarantees.observe(Ended(1.0, ONE, "ABORTED", "ABORTED"))
    assert guarantees.known == set()


@pytest.mark.parametrize(
    ("trace", "places", "holder", "kept"),
    [
        pytest.param(failed(), SOUND, None, True, id="sound, and the lock is free"),
        pytest.param(checked(), CUT_OVER, ONE, False, id="the lock is held"),
        pytest.param(interrupted(), Places(A, None), None, False, id="nobody put staging right"),
        pytest.param(failed().someone_moves(STAGING, Places(A, STRANGER)), Places(A, STRANGER), None, True,
                     id="someone else moved an address last"),
        pytest.param(interrupted().releases("RepairFailed", cause="A person must act."), Places(A, None), None, True,
                     id="a person was asked"),
        pytest.param(cutover().add(CommandBegan, ONE, "deploy", B), SOUND, None, False, id="a command still runs"),
    ],
)  # fmt: skip
def test_everything_settles(trace: Trace, places: Places, holder: str | None, kept: bool) -> None:
    guarantees = GuaranteesSeenWhole(PAIR, sees_faults=False)
    for event in trace.events:
        guarantees.observe(event)
    broken = guarantees.settled(trace.at, places, holder)
    assert [each.guarantee for each in broken] == ([] if kept else ["everything-settles"])


@pytest.mark.parametrize("prevented", [True, False])
def test_a_rollback_fails_only_if_something_prevents_it(prevented: bool) -> None:
    trace = cutover().swaps().moves("RestoreProduction", PRODUCTION, A)
    trace = trace.add(Disturbed) if prevented else trace
    trace.releases("RollbackFailed", cause=COMMANDS.format(STAGING).replace("i-a", B))
    guarantees = GuaranteesSeenWhole(PAIR)
    broken = [each.guarantee for event in trace.events for each in guarantees.observe(event)]
    assert broken == ([] if prevented else ["sound-after-a-failure"])


def test_the_record_of_an_interrupted_execution_is_read_as_a_whole() -> None:
    trace = checked().releases("CUT_OVER", back="a")
    trace = again(trace, live=plan()["idle"], idle=plan()["live"], stagingTo=plan()["idle"])
    trace.moves("DisassociateStaging", STAGING, None).ends("ABORTED", "ABORTED")
    trace.at += 30
    left = Record(rollback_to=RollbackTo("a"), interrupted=Lock(server="a", execution=TWO))
    assert trace.add(Unlocked, TWO, REPAIR, left).broken() == []


def test_a_redriven_execution_says_what_it_has_changed_since() -> None:
    trace = cutover().moves("DisassociateStaging", STAGING, None).ends("ABORTED", "ABORTED")
    trace.add(Entered, ONE, "DisassociateStaging")
    assert trace.ends("PreflightFailed", cause="Redriven").broken() == []
