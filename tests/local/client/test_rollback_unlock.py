"""`rollback` and `unlock` on the deployed stack."""

import json

from local.aws import LocalAws
from local.faults import Fault
from tests.local.client.runs import Run
from tests.local.situation import AS_BEFORE, SWAPPED, arn_of, locks, places, put_lock, start_slowly, until


def test_rollback_goes_back_once_to_the_server_that_was_live_before(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"})
    aws.servers["bittybot"].make_unhealthy()
    assert run("rollback").returncode == 12
    assert places(aws) == SWAPPED
    aws.servers["bittybot"].make_healthy()
    back = run("rollback", "--json")
    assert (back.returncode, json.loads(back.stdout)["isLive"]) == (0, "bittybot")
    assert places(aws) == AS_BEFORE
    again = run("rollback", "--detailed-exit-code")
    assert again.returncode == 3
    assert "which was a rollback already" in again.stdout
    assert json.loads(run("rollback", "--json").stdout)["outcome"] == "ALREADY_LIVE"
    assert places(aws) == AS_BEFORE


def test_rollback_after_a_cutover_that_was_stopped_after_the_move_goes_back(aws: LocalAws, run: Run) -> None:
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="slow", nth=2, seconds=1.5))
    arn = aws.start({"serverName": "tao"})
    until(lambda: aws.holder("production") == "tao")
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    until(lambda: not locks(aws) and places(aws) == SWAPPED)
    done = run("rollback")
    assert done.returncode == 0
    assert "(ABORTED), and tao is now" in done.stdout
    assert places(aws) == AS_BEFORE


def test_unlock_deletes_a_dead_lock_and_no_other(aws: LocalAws, run: Run) -> None:
    assert run("unlock").returncode == 0

    start_slowly(aws)
    refused = run("unlock")
    assert (refused.returncode, refused.stdout) == (20, "")
    assert "still runs" in refused.stderr
    until(lambda: not locks(aws))

    put_lock(aws, aws.execute({"dryRun": True}).arn)
    refused = run("unlock")
    assert refused.returncode == 20
    assert "a call that it made may still change an address. Try again in 4" in refused.stderr
    assert len(locks(aws)) == 1

    put_lock(aws, arn_of(aws, "nobody"))
    done = run("unlock", "--pair", "web")
    assert done.returncode == 0
    assert "is deleted" in done.stdout
    assert locks(aws) == []
