"""What a request may be, and requests that change nothing."""

from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.truth import require, require_last_outcome, unchanged

# The values of each key that are refused, by that key.
WRONG_VALUES: dict[str, list[object]] = {
    "pair": [1, {}, "nobody", "*"],
    "serverName": [7, None, ["tao"], "", "nobody", "tao tao", "tao\u0000", "{% $plan %}", "\u202eoat", "x" * 33_000],
    "dryRun": ["true", 1, None],
    "expectedRelease": [7, "", " 7", "7\u00e9", "7" * 257],
    "release": [7, "", "7 8", "7\n", "$(reboot)", "7;reboot", "7\u00e9", "7" * 129],
    "rollback": ["yes", 0],
    "emergency": ["no", []],
    "waitSeconds": [-1, 3601, 1.5, "60", True],
}
UNKNOWN_KEYS = ("server", "SERVERNAME", "", "\U0001f600", "{% $plan %}", "__class__", "a\nb")
NO_OBJECTS: tuple[object, ...] = (None, True, 7, "tao", [], [{"dryRun": True}])


def wrong_requests(live: str) -> list[tuple[object, str]]:
    """Inputs that must be refused, each with what the cause must contain."""
    together: list[dict[str, object]] = [
        {"rollback": True, "serverName": live},
        {"rollback": True, "expectedRelease": "7"},
        {"rollback": True, "release": "7"},
        {"release": "7", "expectedRelease": "7"},
        {"release": "7", "serverName": live},
    ]
    return [
        *((value, "JSON object") for value in NO_OBJECTS),
        *(({key: value}, key) for key, values in WRONG_VALUES.items() for value in values),
        *(({key: "tao"}, ascii(key)) for key in UNKNOWN_KEYS),
        *((request, " and ".join(request)) for request in together[:-1]),
        (together[-1], "release and serverName"),
    ]


def test_every_wrong_input_is_refused_by_its_key_and_changes_nothing(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    wrong = wrong_requests(live)
    with unchanged(sound):
        requests = [sound.about(request) if isinstance(request, dict) else request for request, _ in wrong]
        executions = sound.execute_all(requests)
    for execution, (request, named) in zip(executions, wrong, strict=True):
        assert execution.outcome == "InvalidRequest", (request, execution)
        assert named in execution.cause, (request, execution)
        assert "Nothing was" in execution.cause, (request, execution)
        assert all(line.isprintable() for line in execution.cause.splitlines()), (request, execution)


def test_requests_that_change_nothing_wait_for_each_other_and_report_what_is_true(sound: PairOnAws) -> None:
    """A dry run, a dry run of a release, a request for the live server, and one that expects another release."""
    live, idle = sound.live_and_idle()
    release = sound.new_release()
    executions = sound.execute_all(
        sound.about({**request, "waitSeconds": 600})
        for request in (
            {"serverName": idle.upper(), "dryRun": True},
            {"release": release, "dryRun": True},
            {"serverName": live},
            {"serverName": idle, "expectedRelease": release},
        )
    )
    of_server, of_release, of_live, unexpected = executions
    with unchanged(sound):
        require(sound, of_server, "DRY_RUN", live=live)
        require(sound, of_release, "DRY_RUN", live=live)
        require(sound, of_live, "ALREADY_LIVE", live=live)
        require(sound, unexpected, "StagingUnhealthy", live=live)
    assert release in unexpected.cause
    assert of_server.output["plan"]["checked"] is True
    assert [step for step in of_release.output["plan"]["steps"] if f"deploy release {release} to {idle}" in step]


def test_a_request_without_a_pair_means_the_only_pair(sound: PairOnAws) -> None:
    execution = sound.execute({"dryRun": True})
    if sound.only:
        require(sound, execution, "DRY_RUN", live=sound.live_and_idle()[0])
        require_last_outcome(sound, execution)
    else:
        assert execution.outcome == "InvalidRequest"
