"""`cutover.py verify` on the local AWS."""

import json

from local.aws import LocalAws
from tests.local.client.runs import Run
from tests.local.situation import deploy


def test_a_cutover_that_was_rolled_back_kept_the_guarantees(aws: LocalAws, run: Run) -> None:
    deploy(aws, "fails-as-production")
    arn = aws.execute({"serverName": "tao"}).arn
    shown = run("verify", arn)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "outcome      RolledBack\n" in shown.stdout
    evidence = json.loads(run("verify", arn, "--json").stdout)
    assert evidence["kept"]
    states = [each["state"] for each in evidence["changes"]]
    assert states[-2:] == ["RestoreProduction", "RestoreStaging"]
    assert None not in [each["requestId"] for each in evidence["changes"]]
