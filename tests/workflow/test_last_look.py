"""The outcome is true at the end, even if someone else moves an address while a server is checked or watched."""

from collections.abc import Callable
from typing import Protocol

import pytest

from local.faults import Fault
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

Move = Callable[[Aws], object]


class Meanwhile(Protocol):
    def __call__(self, server: str, act: Callable[[], object], *, address: str = ..., status: int = ...) -> None: ...


@pytest.fixture
def meanwhile(web: Web) -> Meanwhile:
    """Once, when a server is asked through an address, something else happens, and the server answers with `status`."""

    def happen(server: str, act: Callable[[], object], *, address: str = "production", status: int = 200) -> None:
        acts = [act]

        def behave(asked: str) -> int:
            if asked != address:
                return 200
            while acts:
                acts.pop()()
            return status

        web.behaviour[server] = behave

    return happen


def off(aws: Aws) -> None:
    aws.disassociate(aws.staging)


def swap(aws: Aws) -> None:
    aws.place(production="tao", staging="bittybot")


def back(aws: Aws) -> None:
    aws.place(production="bittybot", staging=None)


def to_stranger(address: str) -> Move:
    def move(aws: Aws) -> None:
        aws.servers["stranger"] = aws.launch()
        aws.associate(getattr(aws, address), "stranger")

    return move


@pytest.mark.parametrize("bake", [0, 0.3])
@pytest.mark.parametrize(("move", "where"), [(off, None), (to_stranger("staging"), "stranger")])
def test_a_cutover_says_where_staging_is_now_and_that_someone_moved_it(
    aws: Aws, web: Web, meanwhile: Meanwhile, move: Move, where: str | None, bake: float
) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": bake})
    meanwhile("tao", lambda: move(aws))
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert aws.places == ("tao", where)
    assert execution.output["staging"] == aws.described("staging") | {"server": None}
    (warning,) = execution.output["warnings"]
    assert warning.startswith(f"EC2 shows the staging address 127.0.0.11 ({aws.staging}) on ")
    assert f"before the check it was on bittybot ({aws.servers['bittybot']}). Someone else moved it." in warning
    assert warning in aws.messages[0]["default"]


@pytest.mark.parametrize(
    ("move", "outcome", "places"),
    [
        (back, "RolledBack", ("bittybot", "tao")),
        (to_stranger("production"), "RollbackFailed", ("stranger", "tao")),
    ],
    ids=["back", "away"],
)
def test_a_cutover_fails_if_someone_moves_production_during_the_last_check(
    aws: Aws, meanwhile: Meanwhile, move: Move, outcome: str, places: tuple[str, str]
) -> None:
    meanwhile("tao", lambda: move(aws))
    execution = aws.execute({})
    assert execution.outcome == outcome, execution.cause
    assert "HealthCheckProduction failed with MovedMeanwhile: EC2 shows the production address" in str(execution.cause)
    assert aws.places == places
    assert aws.locks == []


def test_a_rollback_is_not_complete_when_someone_moves_staging_while_the_restored_server_is_checked(
    aws: Aws, web: Web, meanwhile: Meanwhile
) -> None:
    web.behaviour["tao"] = sick_as_production
    meanwhile("bittybot", lambda: aws.disassociate(aws.staging))
    execution = aws.execute({})
    assert execution.outcome == "RollbackFailed"
    assert f"on no server; before the check it was on tao ({aws.servers['tao']}). Someone else" in str(execution.cause)
    assert "run:\naws ec2 associate-address" in str(execution.cause)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("move", "live"), [(off, "bittybot"), (to_stranger("production"), "stranger")], ids=["staging", "production"]
)
def test_a_server_is_not_called_live_if_someone_moves_an_address_during_its_check(
    aws: Aws, web: Web, meanwhile: Meanwhile, ec2_calls: EC2Calls, move: Move, live: str, *, dry_run: bool
) -> None:
    aws.configure(port=web.port, releaseHeader="X-Release")
    meanwhile("bittybot", lambda: move(aws))
    execution = aws.execute({"serverName": "bittybot", "expectedRelease": "1", "dryRun": dry_run})
    assert execution.outcome == "AddressMoved", execution.output
    assert ec2_calls.changes == []
    assert aws.places[0] == live
    assert aws.locks == []


@pytest.mark.parametrize("kind", ["denied", "throttled", "internal-error"])
def test_a_cutover_succeeds_even_if_ec2_does_not_describe_the_addresses_at_its_end(
    aws: Aws, meanwhile: Meanwhile, ec2_calls: EC2Calls, kind: str
) -> None:
    unseen = Fault(action="DescribeAddresses", kind=kind, times=4)  # type: ignore[arg-type]
    meanwhile("tao", lambda: ec2_calls.inject(unseen))
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    (warning,) = execution.output["warnings"]
    assert warning.startswith("The addresses could not be described after the check. DescribeAddresses of ")
    assert execution.output["staging"] == aws.described("staging")


def test_an_outdated_description_is_read_again(aws: Aws, meanwhile: Meanwhile, ec2_calls: EC2Calls) -> None:
    meanwhile("tao", lambda: ec2_calls.inject(Fault(action="DescribeAddresses", kind="stale")))
    execution = aws.execute({})
    assert (execution.outcome, execution.output.get("warnings")) == ("CUT_OVER", None)


# A check that fails because someone moved an address does not blame the server.


@pytest.mark.parametrize(
    ("move", "places"),
    [(to_stranger("production"), ("stranger", "tao")), (off, ("bittybot", None)), (swap, ("tao", "bittybot"))],
    ids=["production", "staging", "swapped"],
)
def test_a_rollback_is_not_complete_when_someone_moves_an_address_and_the_check_fails(
    aws: Aws, web: Web, meanwhile: Meanwhile, move: Move, places: tuple[str, str | None]
) -> None:
    web.behaviour["tao"] = sick_as_production
    meanwhile("bittybot", lambda: move(aws), status=500)
    execution = aws.execute({})
    assert (execution.outcome, aws.places) == ("RollbackFailed", places)
    cause = str(execution.cause)
    assert "Someone else moved it. The check failed, too: " in cause
    assert f"bittybot ({aws.servers['bittybot']}) is not healthy" in cause
    assert "run:\naws ec2 associate-address" in cause


def test_an_unhealthy_server_is_reported_as_unhealthy_if_nobody_moved_an_address(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = web.behaviour["bittybot"] = sick_as_production
    execution = aws.execute({})
    assert (execution.outcome, aws.places) == ("RolledBack", ("bittybot", "tao"))
    assert "But bittybot fails its health check as production: ProductionUnhealthy" in str(execution.cause)


@pytest.mark.parametrize("move", [swap, to_stranger("production"), off], ids=["swapped", "production", "staging"])
def test_a_live_server_is_not_blamed_if_someone_moves_an_address_during_its_check(
    aws: Aws, web: Web, meanwhile: Meanwhile, ec2_calls: EC2Calls, move: Move
) -> None:
    aws.configure(port=web.port, releaseHeader="X-Release")
    meanwhile("bittybot", lambda: move(aws), status=500)
    execution = aws.execute({"serverName": "bittybot", "expectedRelease": "1"})
    assert (execution.outcome, ec2_calls.changes) == ("AddressMoved", [])
    assert "Someone else moved it. The check failed, too: " in str(execution.cause)
    assert str(execution.cause).endswith(" Nothing was changed.")


@pytest.mark.parametrize(
    ("move", "outcome"), [(to_stranger("production"), "RollbackFailed"), (back, "RolledBack")], ids=["away", "back"]
)
def test_a_new_release_is_not_blamed_if_someone_moves_production_during_its_check(
    aws: Aws, meanwhile: Meanwhile, move: Move, outcome: str
) -> None:
    meanwhile("tao", lambda: move(aws), status=500)
    execution = aws.execute({})
    assert execution.outcome == outcome
    assert str(execution.cause).startswith("HealthCheckProduction failed with MovedMeanwhile: EC2 shows the production")
    assert "The check failed, too: tao" in str(execution.cause)


# An execution that ends after its long checks of the idle server reports where the addresses are then.


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry-run", "unhealthy"])
@pytest.mark.parametrize("move", [swap, to_stranger("production"), off], ids=["swapped", "production", "staging"])
def test_an_execution_that_ends_after_its_checks_says_if_someone_moved_an_address_meanwhile(
    aws: Aws, meanwhile: Meanwhile, ec2_calls: EC2Calls, move: Move, *, dry_run: bool
) -> None:
    meanwhile("tao", lambda: move(aws), address="staging", status=200 if dry_run else 500)
    execution = aws.execute({"dryRun": dry_run})
    assert (execution.outcome, ec2_calls.changes, aws.locks) == ("AddressMoved", [], [])
    cause = str(execution.cause)
    assert cause.startswith("An address is no longer where it was before the checks. Production is on ")
    assert f"staging on tao ({aws.servers['tao']}), private address " in cause
    assert ("A check failed, too: tao " in cause) is not dry_run
    assert cause.endswith(" Nothing was changed.")
    assert "associate-address" not in cause


def test_an_address_that_moves_after_a_repair_is_not_reported_as_if_nothing_was_changed(
    aws: Aws, meanwhile: Meanwhile
) -> None:
    aws.disassociate(aws.staging)
    meanwhile("tao", lambda: off(aws), address="staging", status=500)
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "PreflightFailed"
    assert "An address is no longer where it was before the checks." in str(execution.cause)
    assert str(execution.cause).endswith("Staging was not on the idle server, and was put on tao.")


@pytest.mark.parametrize(("status", "outcome"), [(200, "DRY_RUN"), (500, "StagingUnhealthy")])
def test_an_execution_ends_as_its_checks_say_if_ec2_does_not_describe_the_addresses_at_its_end(
    aws: Aws, meanwhile: Meanwhile, ec2_calls: EC2Calls, status: int, outcome: str
) -> None:
    unseen = Fault(action="DescribeAddresses", kind="denied", times=None)
    meanwhile("tao", lambda: ec2_calls.inject(unseen), address="staging", status=status)
    execution = aws.execute({"dryRun": True})
    assert execution.outcome == outcome
    if outcome == "DRY_RUN":
        (warning,) = execution.output["warnings"]
        assert warning.startswith("The addresses could not be described after the checks. EC2Refused: ")


def test_a_live_server_whose_addresses_cannot_be_described_after_its_check_is_live_with_a_warning(
    aws: Aws, web: Web, meanwhile: Meanwhile, ec2_calls: EC2Calls
) -> None:
    aws.configure(port=web.port, releaseHeader="X-Release")
    meanwhile("bittybot", lambda: ec2_calls.inject(Fault(action="DescribeAddresses", kind="denied", times=4)))
    execution = aws.execute({"serverName": "bittybot", "expectedRelease": "1"})
    assert execution.outcome == "ALREADY_LIVE"
    assert execution.output["warnings"][0].startswith("The addresses could not be described after the check. ")


def test_staging_that_was_on_no_server_before_the_check_of_the_live_server_was_not_moved(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, releaseHeader="X-Release")
    aws.disassociate(aws.staging)
    execution = aws.execute({"serverName": "bittybot", "expectedRelease": "1"})
    assert (execution.outcome, execution.output.get("warnings")) == ("REPAIRED", None)
