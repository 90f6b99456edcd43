"""An execution that is stopped is repaired: production stays, staging goes to the other server, the lock is free."""

from tests.acceptance.executions import Execution, until
from tests.acceptance.pair_on_aws import VERY_SLOW, PairOnAws
from tests.acceptance.truth import require, require_last_outcome, require_sound, unchanged
from tests.acceptance.watch import stays_up

TRIES = 3


def stopped_in(pair: PairOnAws, request: object, state: str, *, sends_command: bool = False) -> str:
    """The ARN of an execution that was stopped after it had entered this state, and had sent a command to a server if
    it `sends_command`. Its history may show that too late."""
    for _ in range(TRIES):
        arn = pair.start(request)
        pair.await_state(arn, state)
        if sends_command:
            until(lambda: pair.commands(arn), f"{arn} has sent its command")  # noqa: B023  # it is called at once
        pair.stop(arn)
        if pair.wait(arn).status == "ABORTED":
            return arn
    raise AssertionError(f"each of {TRIES} executions ended before it could be stopped in {state}")


def repair_of(pair: PairOnAws, arn: str) -> Execution:
    """The repair that EventBridge has started for a stopped execution, once it has ended."""
    states = pair.client("stepfunctions")
    others: set[str] = set()

    def started() -> str | None:
        newest = states.list_executions(stateMachineArn=pair.repair_arn, maxResults=100)["executions"]
        for repair in {each["executionArn"] for each in newest} - others:
            if pair.look(repair).input.get("execution") == arn:
                return str(repair)
            others.add(repair)
        return None

    return pair.wait(until(started, f"a repair of {arn}"))


def test_an_execution_that_is_stopped_before_its_first_change_is_repaired_and_the_next_one_works(
    sound: PairOnAws,
) -> None:
    """Its command on the server is cancelled first. The next execution waits for all that, and cuts over."""
    _, idle = sound.live_and_idle()
    with unchanged(sound):
        arn = stopped_in(
            sound, sound.about({"release": sound.new_release(VERY_SLOW)}), "DeployRelease", sends_command=True
        )
        assert sound.holder() == arn
        following = sound.start(sound.about({"release": sound.new_release(), "waitSeconds": 900}))
        until(lambda: sound.commands(following), f"{following} has sent its command")
        assert [sound.status_of(command) for command in sound.commands(arn)] == ["Cancelled"]
    require(sound, sound.wait(following), "CUT_OVER", live=idle)


def test_an_execution_that_is_stopped_in_the_middle_of_its_changes_is_repaired(sound: PairOnAws) -> None:
    """Its release fails as production, so that the changes are followed by those of the rollback, and a stop that comes
    late still comes in time. Wherever it came, staging is then on no server, as after the first change."""
    live, idle = sound.live_and_idle()
    release = sound.new_release("fails-as-production")
    with stays_up(sound):
        arn = stopped_in(sound, sound.about({"release": release}), "DisassociateStaging")
        sound.disassociate("staging")
        repair = repair_of(sound, arn)
    assert repair.outcome == "REPAIRED"
    now = sound.places().production
    assert now in (live, idle)
    require_sound(sound, live=str(now))
    require_last_outcome(sound, repair)
    following = sound.execute(sound.about({"rollback": True}))
    if now == live:  # it was stopped before it had moved production, so nothing must be made live again
        require(sound, following, "PreflightFailed", live=live)
        assert idle in following.cause
    else:
        require(sound, following, "CUT_OVER", live=live)
