"""A release in one execution, and each way in which one fails before and after users get it."""

import json

from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import SLOW, Answer, PairOnAws
from tests.acceptance.truth import require, require_announced, require_last_outcome, require_sound, unchanged
from tests.acceptance.watch import stays_up


def test_of_several_starts_at_once_exactly_one_cuts_over(sound: PairOnAws) -> None:
    """The deployment takes 8 s more, so that each start meets the execution that holds the pair. Meanwhile a dry run is
    refused, and an evaluation skipped."""
    _, idle = sound.live_and_idle()
    previous = sound.addresses()
    request = sound.about({"release": sound.new_release(SLOW)})
    with stays_up(sound):
        arns = [sound.start(each) for each in (request, request, {**request, "waitSeconds": 900}, request)]
        holder = until(sound.holder, "one of them holds the pair")
        dry_run, evaluation = sound.start(sound.about({"dryRun": True})), sound.evaluate()
        executions = [sound.wait(arn) for arn in arns]

    (winner,) = (each for each in executions if each.arn == holder)
    require(sound, winner, "CUT_OVER", live=idle)
    assert winner.output["previous"] == previous
    assert sound.answer("production") == Answer(idle, request["release"], 200)
    for execution in (*executions, sound.wait(dry_run)):
        if execution != winner and "waitSeconds" in execution.input:
            require(sound, execution, "ALREADY_LIVE", live=idle)
            require_last_outcome(sound, execution)
        elif execution != winner:
            assert execution.outcome == "CutoverInProgress"
            assert holder in execution.cause
    assert evaluation["outcome"] == "SKIPPED"


def test_a_release_that_is_live_already_is_not_deployed_again(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    answer = sound.answer("production")
    assert answer
    with unchanged(sound):
        execution = sound.execute(sound.about({"release": answer.release}))
        require(sound, execution, "ALREADY_LIVE", live=live)
    assert "DeployRelease" not in sound.entered(execution.arn)


def test_a_release_that_cannot_be_deployed_changes_nothing_and_shows_its_output(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    former = sound.answer("staging")
    with unchanged(sound):
        execution = sound.execute(sound.about({"release": sound.new_release("fails")}))
        require(sound, execution, "DeployFailed", live=live)
    assert "\n| " in execution.cause
    require_announced(sound, execution)
    assert sound.answer("staging") == former
    require_last_outcome(sound, execution)


def test_an_unhealthy_release_never_becomes_live_not_even_in_an_emergency(sound: PairOnAws) -> None:
    """Nor by a rollback: a deployment replaces what users were served well by."""
    live, idle = sound.live_and_idle()
    with unchanged(sound):
        release = sound.new_release("unhealthy")
        refused = sound.execute(sound.about({"release": release}))
        require(sound, refused, "StagingUnhealthy", live=live)
        evaluation = sound.evaluate()
        emergency = sound.execute(sound.about({"serverName": idle, "emergency": True}))
        require(sound, emergency, "StagingUnhealthy", live=live)
        rollback = sound.execute(sound.about({"rollback": True}))
        require(sound, rollback, "PreflightFailed", live=live)
    assert "500" in refused.cause
    assert f"the deployment of release {release} to {idle}" in rollback.cause
    assert evaluation["outcome"] == "NOT_READY"
    assert "500" in json.dumps(evaluation["reasons"])


def test_a_release_that_fails_as_production_is_rolled_back_and_never_becomes_live_by_a_rollback(
    sound: PairOnAws,
) -> None:
    live, _ = sound.live_and_idle()
    with stays_up(sound):
        execution = sound.execute(sound.about({"release": sound.new_release("fails-as-production")}))
    require(sound, execution, "RolledBack", live=live)
    require_last_outcome(sound, execution)
    assert "500" in execution.cause
    assert f"production {sound.public_ips['production']} is on {live}" in execution.cause
    with unchanged(sound):
        rollback = sound.execute(sound.about({"rollback": True}))
        require_sound(sound, live=live)
    assert rollback.outcome == "PreflightFailed"
    assert execution.arn in rollback.cause
