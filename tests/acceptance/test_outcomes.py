"""The outcomes of the contract, in an order that needs few moves."""

from tests.acceptance.pair_on_aws import PairOnAws


def test_a_dry_run_changes_nothing(sound: PairOnAws) -> None:
    places = sound.places()
    assert sound.execute(sound.about({"dryRun": True})).outcome == "DRY_RUN"
    assert sound.places() == places
