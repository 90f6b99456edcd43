"""When EC2 refuses the rollback for good, a person finishes it with the very commands of the cause."""

import os
import subprocess
import sys
from pathlib import Path

from local.aws import LocalAws
from local.faults import Fault
from tests.local.situation import AS_BEFORE, SWAPPED, deploy, places


def test_the_commands_of_a_rollback_that_failed_restore_the_pair(quick_aws: LocalAws) -> None:
    aws = quick_aws
    deploy(aws, "fails-as-production")
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="refused", nth=3, times=None))
    execution = aws.execute({})
    aws.ec2.faults.clear()
    assert execution.error == "RollbackFailed"
    assert places(aws) == SWAPPED

    commands = str(execution.cause).split("Run: ")[1]
    programs = Path(sys.executable).parent
    environment = aws.environment | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-euc", commands], env=environment, check=True, capture_output=True)
    assert places(aws) == AS_BEFORE
