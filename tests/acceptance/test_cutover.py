"""A plain cutover: what it reports, to whom, and that it does not run twice."""

from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.truth import require, require_announced, require_gap, require_last_outcome
from tests.acceptance.watch import stays_up


def test_an_empty_request_makes_the_idle_server_live_once_and_announces_it(sound: PairOnAws) -> None:
    """A second start with its name and input does not start another execution, which would switch back."""
    _, idle = sound.live_and_idle()
    with stays_up(sound):
        arn = sound.start({} if sound.only else sound.about({}))
        assert sound.start_again(arn) in (arn, "ExecutionAlreadyExists")
        execution = sound.wait(arn)
    assert sound.start_again(arn) == "ExecutionAlreadyExists"
    require(sound, execution, "CUT_OVER", live=idle)
    require_last_outcome(sound, execution)
    require_gap(sound, execution)
    require_announced(sound, execution)


def test_a_server_with_the_expected_release_becomes_live(sound: PairOnAws) -> None:
    _, idle = sound.live_and_idle()
    answer = sound.answer("staging")
    assert answer
    with stays_up(sound):
        execution = sound.execute(sound.about({"serverName": idle, "expectedRelease": answer.release}))
    require(sound, execution, "CUT_OVER", live=idle)
    assert sound.answer("production") == answer
