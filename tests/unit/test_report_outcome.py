"""The metrics of an execution that has ended, from its event. A forged event gives no metrics."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from report_outcome import NotConfirmed, handler
from tests.unit.emf import Capture, points, values
from tests.unit.executions_double import (
    ARN,
    ARNS,
    ENDED,
    MISSING,
    WORKFLOWS,
    Execution,
    Executions,
    ended,
    failed,
    succeeded,
)
from tests.unit.handler_calls import CONTEXT

TAO = {"publicIp": "203.0.113.7", "allocationId": "eipalloc-1", "associationId": "eipassoc-1", "server": "tao"}
BITTYBOT = {**TAO, "server": "bittybot"}
NOBODY = {**TAO, "server": None, "associationId": None}
PAIR = {"production": "eipalloc-1", "staging": "eipalloc-2", "servers": {"tao": "i-1", "bittybot": "i-2"}}
CONFIGURED = {name: PAIR | {"healthCheck": [], "bakeSeconds": 0, "alarms": []} for name in ("web", "api")}
SWAPPED = {"production": TAO, "staging": BITTYBOT, "previous": {"production": BITTYBOT, "staging": TAO}}
CUT_OVER = succeeded(outcome="CUT_OVER", pair="web", **SWAPPED)


@pytest.fixture(autouse=True)
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pairs.json").write_text(json.dumps(CONFIGURED))
    monkeypatch.setenv("PAIRS_FILE", str(tmp_path / "pairs.json"))
    monkeypatch.setenv("WORKFLOWS", WORKFLOWS)


def event(outcome: Any = "CUT_OVER", pair: Any = "web", **changed: Any) -> dict[str, Any]:
    """The event in EventBridge's envelope; a pair that is None is absent."""
    detail = {"execution": ARN, "workflow": "eip-cutover", "outcome": outcome, "pair": pair}
    envelope = {"version": "0", "detail-type": "Elastic IP Cutover Ended", "source": "eip-cutover", "resources": []}
    envelope |= {"account": "123456789012", "region": "eu-west-1"}
    detail |= {key: value for key, value in changed.items() if key not in envelope}
    known = {key: value for key, value in detail.items() if value is not None}
    return envelope | {key: value for key, value in changed.items() if key in envelope} | {"detail": known}


def reported(
    sent: dict[str, Any], execution: Execution, capsys: Capture
) -> dict[tuple[str, tuple[str, ...]], tuple[float, ...]]:
    arn = sent["detail"]["execution"]
    handler(sent, CONTEXT, states=Executions({arn: execution}).client)
    return values(capsys.readouterr().out)


def test_a_cutover_reports_its_outcome_its_duration_and_the_live_server(capsys: Capture) -> None:
    assert reported(event(), CUT_OVER, capsys) == {
        ("Outcomes", ("CUT_OVER", "web")): (1,),
        ("Outcomes", ("CUT_OVER",)): (1,),
        ("Duration", ("CUT_OVER", "web")): (3500,),
        ("Rollbacks", ("web",)): (0,),
        ("Live", ("web", "tao")): (1,),
        ("Live", ("web", "bittybot")): (0,),
    }


@pytest.mark.parametrize(
    ("execution", "outcome", "rollbacks"),
    [
        (failed("RolledBack", {"pair": "web"}), "RolledBack", 1),
        (failed("RollbackFailed", {"pair": "web"}), "RollbackFailed", 1),
        (failed("StagingUnhealthy", {"pair": "web"}), "StagingUnhealthy", 0),
    ],
)
def test_successful_and_failed_rollbacks_are_counted_and_an_outcome_without_production_names_no_live_server(
    execution: Execution, outcome: str, rollbacks: int, capsys: Capture
) -> None:
    metrics = reported(event(outcome), execution, capsys)
    assert (metrics["Rollbacks", ("web",)], metrics["Outcomes", (outcome,)]) == ((rollbacks,), (1,))
    assert not any(name == "Live" for name, _ in metrics)


@pytest.mark.parametrize(
    ("execution", "outcome"),
    [
        (failed("RollbackFailed"), "RollbackFailed"),
        (failed("RepairFailed", {"execution": ARN}), "RepairFailed"),
        (succeeded(outcome="NOTHING_TO_REPAIR", cause="..."), "NOTHING_TO_REPAIR"),
    ],
)
def test_the_pair_in_an_event_counts_only_if_the_execution_can_have_no_other(
    execution: Execution, outcome: str, capsys: Capture, tmp_path: Path
) -> None:
    assert reported(event(outcome), execution, capsys) == {("Outcomes", (outcome,)): (1,)}
    (tmp_path / "pairs.json").write_text(json.dumps({"web": CONFIGURED["web"]}))
    assert ("Outcomes", (outcome, "web")) in reported(event(outcome), execution, capsys)


@pytest.mark.parametrize("request_of_it", [{}, {"pair": 7}, [], "web", {"pair": "unknown"}])
def test_an_execution_with_an_unknown_pair_reports_only_its_outcome(request_of_it: object, capsys: Capture) -> None:
    metrics = reported(event("InvalidRequest", None), failed("InvalidRequest", request_of_it), capsys)
    assert metrics == {("Outcomes", ("InvalidRequest",)): (1,)}


def test_an_input_that_is_nested_too_deeply_does_not_hide_the_outcome(capsys: Capture) -> None:
    execution = failed("InvalidRequest") | {"input": "[" * 100_000 + "]" * 100_000}
    assert reported(event("InvalidRequest", None), execution, capsys)
    assert reported(event("InvalidRequest"), execution, capsys)


@pytest.mark.parametrize(
    ("workflow", "execution", "outcome", "counted"),
    [
        ("eip-cutover-repair", failed("RepairFailed", {"execution": ARN}), "RepairFailed", None),
        ("eip-cutover-repair", succeeded(outcome="NOTHING_TO_REPAIR", cause="..."), "NOTHING_TO_REPAIR", None),
        ("eip-cutover-repair", succeeded(outcome="REPAIRED", pair="web", **SWAPPED), "REPAIRED", (1,)),
        ("eip-cutover", succeeded(outcome="REPAIRED", pair="web", **SWAPPED), "REPAIRED", None),
    ],
)
def test_only_a_repair_that_changed_something_is_counted(
    workflow: str, execution: Execution, outcome: str, counted: object, capsys: Capture
) -> None:
    metrics = reported(event(outcome, execution=f"{ARNS}:execution:{workflow}:1"), execution, capsys)
    assert (metrics["Outcomes", (outcome,)], metrics.get(("Repairs", ()))) == ((1,), counted)


@pytest.mark.parametrize(
    ("addresses", "live"),
    [
        ({"production": TAO, "staging": NOBODY, "previous": {"production": BITTYBOT}}, {"tao": 1, "bittybot": 0}),
        ({"production": NOBODY, "staging": TAO, "previous": {}}, {"tao": 0}),
        ({"production": NOBODY, "staging": NOBODY}, {}),
    ],
)
def test_a_server_without_an_address_is_idle_and_without_production_no_server_is_live(
    addresses: dict[str, Any], live: dict[str, float], capsys: Capture
) -> None:
    metrics = reported(event(), succeeded(outcome="CUT_OVER", pair="web", **addresses), capsys)
    assert {key[1][1]: value[0] for key, value in metrics.items() if key[0] == "Live"} == live


def test_the_live_server_is_reported_with_the_end_of_the_execution_and_other_metrics_with_the_current_time(
    capsys: Capture,
) -> None:
    handler(event(), CONTEXT, states=Executions({ARN: CUT_OVER}).client)
    for point in points(capsys.readouterr().out):
        if point.name == "Live":
            assert point.at == int(ENDED.timestamp() * 1000)
        else:
            late_ms = datetime.now(UTC).timestamp() * 1000 - point.at
            assert late_ms == pytest.approx(0, abs=60_000), point


def test_the_times_and_addresses_in_the_event_are_ignored(capsys: Capture) -> None:
    lies = {"startedAt": "2020-01-01T00:00:00Z", "endedAt": 7, "production": BITTYBOT, "staging": "x", "previous": 7}
    assert reported(event(**lies), CUT_OVER, capsys) == reported(event(), CUT_OVER, capsys)


# What anyone with `events:PutEvents` can put. The execution, if it is named, ended `RolledBack`.
FORGED = {
    "an outcome that is not a text": event(["RollbackFailed"]),
    "a pair that is not configured": event("RolledBack", "prod"),
    "a pair that is not a text": event("RolledBack", ["web"]),
    "a pair with a line break": event("RolledBack", "web\n"),
    "another account": event("RolledBack", account="999999999999"),
    "no account": event("RolledBack", account=None),
    "another Region": event("RolledBack", region="us-east-1"),
    "an execution of another account": event("RolledBack", execution=ARN.replace("123456789012", "999999999999")),
    "an execution of another Region": event("RolledBack", execution=ARN.replace("eu-west-1", "us-east-1")),
    "an execution of another workflow": event("RolledBack", execution=ARN.replace("eip-cutover", "evil")),
    "a workflow whose name begins so": event("RolledBack", execution=ARN.replace("eip-cutover", "eip-cutover-2")),
    "an execution with more colons": event("RolledBack", execution=f"{ARN}:7"),
    "no execution": event("RolledBack", execution=None),
    "an execution that is no text": event("RolledBack", execution=[ARN]),
    "no name": event("RolledBack", execution=ARN.removesuffix("release-7")),
    "a name of two lines": event("RolledBack", execution=f"{ARN}\n"),
}


@pytest.mark.parametrize("sent", FORGED.values(), ids=FORGED)
def test_a_forged_event_is_refused_without_a_call_to_step_functions(sent: dict[str, Any], capsys: Capture) -> None:
    arn = sent["detail"].get("execution")
    executions = Executions({arn: failed("RolledBack")} if isinstance(arn, str) else {})
    assert handler(sent, CONTEXT, states=executions.client) == {"reported": 0}
    assert executions.asked == []
    assert points(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("sent", "execution"),
    [
        (event("SomethingNew"), CUT_OVER),
        (event("States.Runtime"), failed("RolledBack")),
        (event("RollbackFailed"), CUT_OVER),
        (event("RollbackFailed"), failed("RolledBack")),
        (event("RollbackFailed"), ended("ABORTED")),
        (event("RollbackFailed"), ended("TIMED_OUT", error="States.Timeout")),
        (event("RollbackFailed"), failed("RollbackFailed") | {"stopDate": datetime.now(UTC) - timedelta(minutes=16)}),
        (event("CUT_OVER"), failed("RollbackFailed")),
        (event("CUT_OVER", "api"), CUT_OVER),
        (event("RolledBack", "api"), failed("RolledBack", {"pair": "web"})),
        (event("RolledBack", execution=f'{ARN}"'), failed("RolledBack")),
    ],
)
def test_an_event_that_its_execution_contradicts_is_refused(
    sent: dict[str, Any], execution: Execution, capsys: Capture
) -> None:
    assert reported(sent, execution, capsys) == {}


@pytest.mark.parametrize("envelope", [{}, {"detail": None}, {"detail": "CUT_OVER"}, {"detail": []}, {"detail": {}}])
def test_an_event_without_an_outcome_is_logged_and_not_retried(envelope: dict[str, Any], capsys: Capture) -> None:
    assert handler(envelope, CONTEXT, states=Executions({}).client) == {"reported": 0}
    assert points(capsys.readouterr().out) == []


@pytest.mark.parametrize("at_first", [("RUNNING",), (MISSING, "RUNNING", "RUNNING"), ("RUNNING",) * 5])
def test_an_execution_that_seems_to_run_or_to_be_missing_is_described_again(
    at_first: Sequence[str], capsys: Capture
) -> None:
    slept: list[float] = []
    executions = Executions({ARN: failed("RollbackFailed", {"pair": "web"})}, at_first=at_first)
    assert handler(event("RollbackFailed"), CONTEXT, states=executions.client, sleep=slept.append) == {"reported": 3}
    assert values(capsys.readouterr().out)["Outcomes", ("RollbackFailed",)] == (1,)
    assert len(slept) == len(at_first)


@pytest.mark.parametrize("status", ["RUNNING", MISSING])
def test_the_function_stops_waiting_for_an_execution_after_some_seconds_and_lambda_retries(
    status: str, capsys: Capture
) -> None:
    slept: list[float] = []
    executions = Executions({ARN: failed("RollbackFailed")}, at_first=[status] * 100)
    with pytest.raises(NotConfirmed, match=f"{status} for {ARN}"):
        handler(event("RollbackFailed"), CONTEXT, states=executions.client, sleep=slept.append)
    assert points(capsys.readouterr().out) == []
    assert 10 < sum(slept) < 20


def test_a_refusal_of_step_functions_is_raised_so_that_lambda_retries(capsys: Capture) -> None:
    client = Executions({}).client
    throttled = SimpleNamespace(status_code=400), {"Error": {"Code": "ThrottlingException", "Message": "..."}}
    client.meta.events.register_first("before-call.sfn.DescribeExecution", lambda **_: throttled)
    with pytest.raises(ClientError, match="ThrottlingException"):
        handler(event("RollbackFailed"), CONTEXT, states=client)
    assert points(capsys.readouterr().out) == []


def test_the_result_is_json_and_says_how_much_was_reported() -> None:
    assert json.dumps(handler(event(), CONTEXT, states=Executions({ARN: CUT_OVER}).client)) == '{"reported": 5}'
