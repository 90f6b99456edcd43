"""CheckServers, DescribeRestored and DescribeUnchanged: how they read an event, and what they return."""

from pathlib import Path
from typing import Any

import pytest

import check_servers
import describe_restored
from domain.errors import (
    PreflightFailed,
    RollbackFailed,
)
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT
from tests.unit.handlers.given import configure, places
from tests.unit.test_servers import RETIREMENT, FakeEc2

# CheckServers.


def test_the_named_server_is_checked_as_long_as_the_longest_deadline(ec2: Ec2Account, tmp_path: Path) -> None:
    event = {"execution": "cutover-1", "pair": "web", "server": "tao"}
    passed: Any = FakeEc2()
    assert check_servers.handler(event, CONTEXT, ec2=passed) == {
        "passed": True,
        "alarms": [],
        "warnings": [],
        "soon": [],
    }
    assert passed.parameters == {"DescribeInstanceStatus": {"InstanceIds": [ec2.tao.instance_id]}}
    # Shorter than the pause before a second look.
    configure(ec2, tmp_path, healthCheck=[{"deadlineSeconds": seconds} for seconds in (1, 4, 2)])
    initializing: Any = FakeEc2(statuses=[{"SystemStatus": "initializing"}])
    with pytest.raises(PreflightFailed, match="did not complete within 4 s"):
        check_servers.handler(event, CONTEXT, ec2=initializing)


@pytest.mark.parametrize("urgent", [False, True])
def test_a_scheduled_event_of_the_server_is_a_warning_of_what_will_soon_prevent_a_cutover(
    ec2: Ec2Account, urgent: bool
) -> None:
    event = {"execution": "cutover-1", "pair": "web", "server": "tao", "urgent": urgent, "alarms": ["gone"]}
    scheduled: Any = FakeEc2(events=[RETIREMENT])
    result = check_servers.handler(event, CONTEXT, ec2=scheduled)
    (soon,) = result["soon"]
    assert "instance-retirement" in soon
    of_alarms = ['CloudWatch has no alarm named "gone".'] if urgent else []
    assert result["warnings"] == [*of_alarms, soon]


# DescribeRestored.


def restored(ec2: Ec2Account, **event: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "pair": "web", "restoring": True, **places(ec2), **event}
    return describe_restored.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)


def test_a_pair_is_restored_when_a_description_shows_it_as_planned(ec2: Ec2Account) -> None:
    described = restored(ec2)
    assert (described["production"]["server"], described["staging"]["server"]) == ("bittybot", "tao")
    assert ec2.slept == []
    ec2.take_off("staging")
    with pytest.raises(RollbackFailed) as failed:
        restored(ec2)
    assert sum(ec2.slept) > 9
    message = str(failed.value)
    assert message.startswith("Production is on bittybot (i-")
    assert "staging is on no server; production should be on bittybot" in message
    tao = ec2.place(ec2.tao)
    (command,) = message.split("A person must act. Run:\n")[1].splitlines()
    assert command == (
        f"aws ec2 associate-address --allocation-id {ec2.pair.staging} --instance-id {tao.server.instance_id} "
        f"--private-ip-address {tao.private_ip} --allow-reassociation"
    )


def test_a_pair_whose_production_was_on_no_server_is_unchanged_while_it_is_there(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    assert restored(ec2, restoring=False, live=None)["production"]["server"] is None
    assert restored(ec2, restoring=False, live=None, idle=None)["staging"]["server"] == "tao"
    ec2.take_off("staging")
    assert restored(ec2, restoring=False, live=None, idle=None)["staging"]["server"] is None
    with pytest.raises(RollbackFailed, match=r"production should be on no server and staging on tao .*must act\.$"):
        restored(ec2, restoring=False, live=None)
    ec2.move("production", ec2.bittybot.instance_id)
    with pytest.raises(
        RollbackFailed, match=r"^Production is on bittybot .* production should be on no server\. A per"
    ):
        restored(ec2, restoring=False, live=None, idle=None)


def test_production_that_cannot_go_back_is_reported_with_the_commands_that_finish_the_cutover(ec2: Ec2Account) -> None:
    for production_on, first in ((None, ec2.pair.production), (ec2.tao, ec2.pair.staging)):
        ec2.take_off("production") if production_on is None else ec2.move("production", production_on.instance_id)
        ec2.take_off("staging") if ec2.holder("staging") else None
        with pytest.raises(RollbackFailed) as failed:
            restored(ec2, live=None, stagingTo=ec2.place(ec2.bittybot).to_json())
        told, *commands = str(failed.value).split("\n")
        assert told.startswith(
            f"Production is {f'on {production_on}' if production_on else 'on no server'} and staging is"
        )
        assert "There is no server to roll back to" in told
        assert f'A person must act: fix {ec2.tao}, or make {ec2.bittybot} live with "serverName": "bittybot".' in told
        assert told.endswith("To put both addresses where they were going, run:")
        assert commands[0].startswith(f"aws ec2 associate-address --allocation-id {first} ")
        assert commands[-1].startswith(f"aws ec2 associate-address --allocation-id {ec2.pair.staging} ")
        assert ec2.bittybot.instance_id in commands[-1]
        assert f"--private-ip-address {ec2.place(ec2.bittybot).private_ip} " in commands[-1]
    assert ec2.slept == []


def test_staging_that_could_go_nowhere_gets_no_command_that_displaces_an_address(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    ec2.take_off("staging")
    with pytest.raises(RollbackFailed) as failed:
        restored(ec2, live=None, stagingTo=None)
    told, *commands = str(failed.value).split("\n")
    assert f"No command moves staging: it could not go to {ec2.bittybot} when the execution began. To put prod" in told
    (command,) = commands
    assert command.startswith(f"aws ec2 associate-address --allocation-id {ec2.pair.production} ")
    assert f"--instance-id {ec2.tao.instance_id} --private-ip-address {ec2.place(ec2.tao).private_ip} " in command
    ec2.move("production", ec2.tao.instance_id)
    with pytest.raises(RollbackFailed, match=r"when the execution began\.$"):
        restored(ec2, live=None, stagingTo=None)
