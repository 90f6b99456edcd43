"""Away from a live server that is broken or stopped, and not back to it."""

from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.truth import require, unchanged
from tests.acceptance.watch import stays_on_a_server, stays_up


def test_an_emergency_leaves_a_broken_live_server_and_no_rollback_goes_back_to_it(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    sound.deploy(sound.new_release("broken"), live)
    request = sound.about({"serverName": idle, "emergency": True})
    with stays_up(sound):
        execution = sound.execute(request)
    require(sound, execution, "CUT_OVER", live=idle)
    with unchanged(sound):
        require(sound, sound.execute(request), "ALREADY_LIVE", live=idle)
        require(sound, sound.execute(sound.about({"rollback": True})), "StagingUnhealthy", live=idle)


def test_an_emergency_leaves_a_stopped_live_server_and_nothing_goes_back_until_it_runs(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    ec2, instance = sound.client("ec2"), sound.servers[live]
    sound.progress.step(f"{live} stops")
    ec2.stop_instances(InstanceIds=[instance])
    until(lambda: sound.instance_states()[live] == "stopped", f"{live} has stopped", seconds=600)
    with stays_on_a_server(sound):
        execution = sound.execute(sound.about({"serverName": idle, "emergency": True}))
    require(sound, execution, "CUT_OVER", live=idle)
    with unchanged(sound):
        back = sound.execute(sound.about({"serverName": live}))
        require(sound, back, "PreflightFailed", live=idle)
    assert instance in back.cause
