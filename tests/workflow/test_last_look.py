"""The outcome is true at the end, even if someone else moves an address while a server is checked or watched."""

from collections.abc import Callable

import pytest

from local.faults import Fault
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

Meanwhile = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def meanwhile(web: Web) -> Meanwhile:
    """Once, when a server is asked as production, something else happens."""

    def happen(server: str, act: Callable[[], object]) -> None:
        acts = [act]

        def behave(address: str) -> int:
            if address == "production" and acts:
                acts.pop()()
            return 200

        web.behaviour[server] = behave

    return happen


def off(aws: Aws) -> None:
    aws.disassociate(aws.staging)


def to_stranger(address: str) -> Callable[[Aws], object]:
    def move(aws: Aws) -> None:
        aws.servers["stranger"] = aws.launch()
        aws.associate(getattr(aws, address), "stranger")

    return move


@pytest.mark.parametrize("bake", [0, 0.3])
@pytest.mark.parametrize(("move", "where"), [(off, None), (to_stranger("staging"), "stranger")])
def test_a_cutover_says_where_staging_is_now_and_that_someone_moved_it(
    aws: Aws, web: Web, meanwhile: Meanwhile, move: Callable[[Aws], object], where: str | None, bake: float
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
        (lambda aws: aws.place(production="bittybot", staging=None), "RolledBack", ("bittybot", "tao")),
        (to_stranger("production"), "RollbackFailed", ("stranger", "tao")),
    ],
    ids=["back", "away"],
)
def test_a_cutover_fails_if_someone_moves_production_during_the_last_check(
    aws: Aws, meanwhile: Meanwhile, move: Callable[[Aws], object], outcome: str, places: tuple[str, str]
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
    assert "run: aws ec2 associate-address" in str(execution.cause)


@pytest.mark.parametrize(
    ("move", "live"), [(off, "bittybot"), (to_stranger("production"), "stranger")], ids=["staging", "production"]
)
def test_a_server_is_not_called_live_if_someone_moves_an_address_during_its_check(
    aws: Aws, web: Web, meanwhile: Meanwhile, ec2_calls: EC2Calls, move: Callable[[Aws], object], live: str
) -> None:
    aws.configure(port=web.port, releaseHeader="X-Release")
    meanwhile("bittybot", lambda: move(aws))
    execution = aws.execute({"serverName": "bittybot", "expectedRelease": "1"})
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
