"""`cutover.py verify` tells a doctored history from a true one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from client.account import Account, Problem
from client.commands import main
from client.verify import UNSEEN, WHOLE, verified
from guarantees.checker import GUARANTEES
from local.faults import Fault
from tests.unit.client_doubles import Service, refusal, session
from tests.workflow.account import Aws
from tests.workflow.doctored import History, details_of
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.given_approval import ERIN, Waiting
from tests.workflow.web import Web, sick, sick_as_production

DENIED = refusal("AccessDeniedException", operation="LookupEvents")
ALICE = {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/Deployer/alice"}
FUNCTION = {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/AssociateAddress/eip"}
Doctor = Callable[[History], object]
Capture = pytest.CaptureFixture[str]


def history_of(aws: Aws, arn: str) -> History:
    events = aws.sfn.get_execution_history(executionArn=arn)["events"]
    return History(aws.sfn.describe_execution(executionArn=arn), events)


def services(first: History, *repairs: History, trail: Any = DENIED) -> Any:
    """A session of boto3 in an account with an execution and its repairs."""
    by_arn = {each.described["executionArn"]: each for each in (first, *repairs)}
    workflow = first.described["stateMachineArn"].removesuffix("-repair")
    outputs = [{"OutputKey": "StateMachineArn", "OutputValue": workflow}]
    states = Service(
        describe_execution=lambda executionArn: by_arn[executionArn].described,  # noqa: N803
        get_execution_history=lambda executionArn, **_: {"events": by_arn[executionArn].events[::-1]},  # noqa: N803
        list_executions={"executions": [each.described for each in repairs]},
    )
    stacks = Service(describe_stacks={"Stacks": [{"Outputs": outputs}]})
    return session(cloudformation=stacks, stepfunctions=states, cloudtrail=Service(lookup_events=trail))


def verify(first: History, *repairs: History, trail: Any = DENIED) -> dict[str, Any]:
    """The evidence about an execution and its repairs."""
    account = Account(services(first, *repairs, trail=trail))
    return verified(account, first.described["executionArn"], sleep=lambda _: None)[0]


def results(evidence: dict[str, Any]) -> dict[str, str]:
    return {each["guarantee"]: each["result"] for each in evidence["guarantees"]}


def broken(evidence: dict[str, Any]) -> set[str]:
    return {guarantee for guarantee, result in results(evidence).items() if result == "broken"}


def later(history: History, seconds: float) -> History:
    """The same so much later."""
    for event in history.events:
        history.shift(event, seconds)
    for date in ("startDate", "stopDate"):
        history.described[date] += timedelta(seconds=seconds)
    return history


def trail_of(evidence: dict[str, Any], *others: dict[str, Any], **changed: Any) -> Any:
    """CloudTrail with the calls of these changes, each `changed`, and with others; answers LookupEvents."""
    calls = [
        {
            "eventName": "AssociateAddress" if each["to"] else "DisassociateAddress", "userIdentity": FUNCTION,
            "eventSource": "ec2.amazonaws.com", "requestID": each["requestId"], "eventID": f"event-{number}",
            "requestParameters": {"allocationId": each["allocationId"], "instanceId": each["instanceId"]}
            if each["to"] else {"associationId": each["associationId"]}, **changed,
        } for number, each in enumerate(evidence["changes"])
    ]  # fmt: skip
    started = {
        "eventSource": "states.amazonaws.com", "eventName": "StartExecution", "userIdentity": ALICE,
        "responseElements": {"executionArn": evidence["execution"]},
    }  # fmt: skip
    dry_run = {**calls[0], "errorCode": "Client.DryRunOperation", "requestID": "another"}

    def look_up(LookupAttributes: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        names = [each["AttributeValue"] for each in LookupAttributes]
        shown = [each for each in (*calls, dry_run, started, *others) if each["eventName"] in names]
        return {"Events": [{"CloudTrailEvent": json.dumps(each)} for each in shown]}

    return look_up


@pytest.fixture
def cutover(aws: Aws) -> History:
    """A true history."""
    history = history_of(aws, aws.execute({}).arn)
    assert broken(verify(history)) == set()
    return history


def ask(history: History, state: str, change: Callable[[Any], object]) -> None:
    history.edit(history.event("TaskScheduled", state), change, "parameters")


def write(history: History, state: str, key: str, value: object) -> None:
    ask(history, state, lambda asked: asked["ExpressionAttributeValues"].update({key: {"S": value}}))


def change_before_the_checks(history: History) -> None:
    history.move("DisassociateStaging", before="Preflight")


def another_server(history: History) -> None:
    def stray(payload: Any) -> None:
        payload["address"] |= {"server": None, "instanceId": "i-0123456789abcdef0"}

    history.answer("ReassociateProduction", stray)


def another_address(history: History) -> None:
    history.answer("ReassociateStaging", lambda payload: payload["address"].update(allocationId="eipalloc-0123"))


def no_rehearsal(history: History) -> None:
    history.remove(history.of_state("RehearseDisassociate"))


def failed_check(history: History) -> None:
    history.answer("HealthCheckStaging", lambda payload: payload.update(healthy=False))


def failed_check_of_production(history: History) -> None:
    history.answer("HealthCheckProduction", lambda payload: payload.update(healthy=False))


def failed_status_checks(history: History) -> None:
    history.answer("CheckServers", lambda payload: payload.update(passed=False))


def other_places(history: History) -> None:
    history.end(lambda output: output.update(production=output["staging"], staging=output["production"]))


def change_after_the_lock(history: History) -> None:
    history.move("ReassociateStaging", before="Notify")


def production_twice(history: History) -> None:
    copied = History(history.described, history.of_state("ReassociateProduction")).events
    history.insert(copied, after=history.of_state("ReassociateStaging")[-1])


def another_outcome(history: History) -> None:
    history.end(lambda output: output.update(outcome="REPAIRED"))


def no_lock(history: History) -> None:
    history.remove(history.of_state("AcquireLock"))


def another_record(history: History) -> None:
    write(history, "ReleaseLock", ":lastOutcome", '{"outcome": "RolledBack", "execution": "x", "at": "y"}')


def dry_run(history: History) -> None:
    history.answer("DescribeAddresses", lambda plan: plan.update(dryRun=True))


def unapproved(history: History) -> None:
    history.answer("DescribeAddresses", lambda plan: plan.update(approvalMinutes=5))


@pytest.mark.parametrize(
    ("doctor", "guarantee"),
    [
        (change_before_the_checks, "nothing-before-the-checks"),
        (another_server, "changes-follow-the-plan"),
        (another_server, "only-the-pair"),
        (another_address, "only-the-pair"),
        (no_rehearsal, "nothing-before-the-checks"),
        (failed_check, "nothing-before-the-checks"),
        (failed_status_checks, "nothing-before-the-checks"),
        (failed_check_of_production, "only-good-releases-go-live"),
        (other_places, "the-outcome-is-true"),
        (change_after_the_lock, "one-holder"),
        (production_twice, "changes-follow-the-plan"),
        (another_outcome, "the-outcome-is-true"),
        (no_lock, "one-holder"),
        (another_record, "the-record-is-true"),
        (dry_run, "changes-follow-the-plan"),
        (unapproved, "nothing-before-the-checks"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_history_that_was_doctored_with_care_breaks_a_guarantee(
    doctor: Doctor, guarantee: str, cutover: History
) -> None:
    doctor(cutover)
    cutover.smooth()
    evidence = verify(cutover)
    assert guarantee in broken(evidence), evidence["guarantees"]
    assert (evidence["kept"], evidence["outcome"]) == (False, "REPAIRED" if doctor is another_outcome else "CUT_OVER")


def remove_an_event(history: History) -> None:
    history.remove([history.event("TaskStarted", "ReassociateProduction")])


def remove_and_renumber(history: History) -> None:
    remove_an_event(history)
    history.smooth()


def cut_off_the_end(history: History) -> None:
    history.events = history.events[:-3]


def swap_two_ids(history: History) -> None:
    first, second = history.of_state("Decision?")
    first["id"], second["id"] = second["id"], first["id"]


def skip_ids(history: History) -> None:
    for event in history.events[50:]:
        event["id"] += 1


def turn_back_time(history: History) -> None:
    history.shift(history.event("TaskSucceeded", "ReassociateProduction"), -60)


def change_one_answer(history: History) -> None:
    history.answer("HealthCheckProduction", lambda payload: payload.update(publicIp="203.0.113.99"))


def change_one_input(history: History) -> None:
    entered = history.of_state("ReassociateStaging")[0]
    history.edit(entered, lambda value: value.update(changed=False), "input")


def change_the_input(history: History) -> None:
    history.described["input"] = '{"emergency": true}'


def change_the_end(history: History) -> None:
    history.edit(history.events[-1], lambda output: output.update(outcome="ALREADY_LIVE"))


def change_the_status(history: History) -> None:
    history.described |= {"status": "FAILED", "error": "RolledBack"}


def change_the_description(history: History) -> None:
    history.described["output"] = history.described["output"].replace("CUT_OVER", "REPAIRED")


def change_what_was_asked(history: History) -> None:
    ask(history, "ReassociateProduction", lambda asked: asked["Payload"].update(server="bittybot"))


def report_another_association(history: History) -> None:
    history.end(lambda output: output["production"].update(associationId="eipassoc-0123"))


def start_with(history: History, text: str) -> None:
    history.described["input"] = details_of(history.events[0])["input"] = text


def was_a_dry_run(history: History) -> None:
    start_with(history, '{"dryRun": true}')


def was_a_dry_run_as_asked(history: History) -> None:
    was_a_dry_run(history)
    ask(history, "DescribeAddresses", lambda asked: asked["Payload"].update(request={"dryRun": True}))


def was_an_emergency(history: History) -> None:
    start_with(history, '{"emergency": true}')


def production_moved_by_nobody(history: History) -> None:
    history.answer("ReassociateProduction", lambda payload: payload.update(changed=False))


def staging_freed_by_nobody(history: History) -> None:
    history.answer("DisassociateStaging", lambda payload: payload.update(changed=False))


def lock_without_a_condition(history: History) -> None:
    ask(history, "AcquireLock", lambda asked: asked.pop("ConditionExpression"))


def lock_of_another(history: History) -> None:
    write(history, "AcquireLock", ":me", "arn:of:another")


def lock_kept(history: History) -> None:
    history.remove(history.of_state("ReleaseLock"))
    history.smooth()


def another_rehearsal(history: History) -> None:
    ask(history, "RehearseAssociateProduction", lambda asked: asked["Payload"].update(server="bittybot"))


def began_earlier(history: History) -> None:
    history.described["startDate"] -= timedelta(hours=5)


def ended_later(history: History) -> None:
    history.described["stopDate"] += timedelta(hours=5)


def ended_earlier(history: History) -> None:
    history.described["stopDate"] -= timedelta(hours=5)


def another_server_to_go_back_to(history: History) -> None:
    write(history, "ReleaseLock", ":rollbackTo", '{"server": "tao", "why": "it was live before"}')


def cutover_of_another(history: History) -> None:
    write(history, "ReleaseLock", ":lastCutover", '{"from": "bittybot", "to": "tao", "execution": "arn:of:another"}')


@pytest.mark.parametrize(
    "doctor",
    [
        was_a_dry_run, was_a_dry_run_as_asked, was_an_emergency, production_moved_by_nobody, staging_freed_by_nobody,
        lock_without_a_condition, lock_of_another, lock_kept, another_rehearsal, began_earlier, ended_later,
        ended_earlier, another_server_to_go_back_to, cutover_of_another,
    ],
    ids=lambda doctor: doctor.__name__,
)  # fmt: skip
def test_a_history_that_was_doctored_consistently_contradicts_its_plan(doctor: Doctor, cutover: History) -> None:
    doctor(cutover)
    cutover.smooth()
    evidence = verify(cutover)
    assert WHOLE in broken(evidence)
    assert not evidence["kept"]


@pytest.mark.parametrize(
    "doctor",
    [
        remove_an_event, remove_and_renumber, cut_off_the_end, swap_two_ids, skip_ids, turn_back_time,
        change_one_answer, change_one_input, change_the_input, change_the_end, change_the_status,
        change_the_description, change_what_was_asked, report_another_association,
    ],
    ids=lambda doctor: doctor.__name__,
)  # fmt: skip
def test_a_history_that_was_doctored_in_one_place_contradicts_itself(doctor: Doctor, cutover: History) -> None:
    doctor(cutover)
    evidence = verify(cutover)
    assert WHOLE in broken(evidence)
    assert not evidence["kept"]


def test_a_true_history_that_was_only_renumbered_stays_true(cutover: History) -> None:
    cutover.smooth()
    assert broken(verify(cutover)) == set()


def test_the_guarantees_of_a_cutover_hold_as_far_as_a_history_shows_them(cutover: History) -> None:
    evidence = verify(cutover)
    assert evidence["kept"]
    assert results(evidence).keys() == {WHOLE, *GUARANTEES}
    not_known = {name for name, result in results(evidence).items() if result == "not known"}
    assert not_known == {*UNSEEN, "one-command-at-a-time", "sound-after-a-failure", "takeovers-wait"}
    assert sorted(each["state"] for each in evidence["checks"] if each["passed"]) == [
        "CheckServers", "HealthCheckProduction", "HealthCheckStaging", "RehearseAssociateProduction",
        "RehearseAssociateStaging", "RehearseDisassociate",
    ]  # fmt: skip
    assert [(each["state"], each["address"], each["from"], each["to"]) for each in evidence["changes"]] == [
        ("DisassociateStaging", "staging", "tao", None),
        ("ReassociateProduction", "production", "bittybot", "tao"),
        ("ReassociateStaging", "staging", None, "bittybot"),
    ]
    assert len({each["requestId"] for each in evidence["changes"]} - {None}) == 3


def test_what_is_not_permitted_is_not_checked_and_the_evidence_says_so(cutover: History) -> None:
    evidence = verify(cutover)
    assert [note.partition(" LookupEvents")[0] for note in evidence["notChecked"]] == [
        "It is unknown who started the executions.", "The changes were not compared with CloudTrail.",
    ]  # fmt: skip
    assert evidence["by"] is None


def test_cloudtrail_shows_who_started_it_and_whose_call_each_change_was(cutover: History) -> None:
    evidence = verify(cutover, trail=trail_of(verify(cutover)))
    assert (evidence["by"], evidence["notChecked"], evidence["kept"]) == ("Deployer/alice", [], True)
    assert [each["calledBy"] for each in evidence["changes"]] == ["AssociateAddress/eip"] * 3
    assert [each["eventId"] for each in evidence["changes"]] == ["event-0", "event-1", "event-2"]


def test_a_request_that_cloudtrail_shows_as_another_change_is_a_contradiction(cutover: History) -> None:
    stray = {"allocationId": "eipalloc-0123", "instanceId": "i-0123"}
    evidence = verify(cutover, trail=trail_of(verify(cutover), requestParameters=stray))
    assert broken(evidence) == {WHOLE}


def test_a_request_that_cloudtrail_does_not_show_yet_is_not_checked(cutover: History) -> None:
    before = verify(cutover)
    evidence = verify(cutover, trail=trail_of(before, requestID="yet another", requestParameters={}))
    (note,) = evidence["notChecked"]
    assert all(str(each["requestId"]) in note for each in before["changes"])
    assert evidence["kept"]


def test_a_change_that_cloudtrail_shows_under_another_request_is_a_contradiction(cutover: History) -> None:
    before = verify(cutover)
    trail = trail_of(before)
    cutover.answer("ReassociateProduction", lambda payload: payload.update(requestId="forged"))
    cutover.smooth()
    evidence = verify(cutover, trail=trail)
    assert (broken(evidence), evidence["notChecked"]) == ({WHOLE}, [])
    assert evidence["changes"][1]["requestId"] == before["changes"][1]["requestId"]


def test_a_change_by_someone_else_meanwhile_is_in_the_evidence(cutover: History) -> None:
    before = verify(cutover)
    parameters = {"allocationId": before["production"]["allocationId"], "instanceId": "i-0123"}
    at = cutover.events[20]["timestamp"].isoformat()
    call = {"eventSource": "ec2.amazonaws.com", "eventName": "AssociateAddress", "eventTime": at, "requestID": "r",
            "userIdentity": ALICE, "requestParameters": parameters}  # fmt: skip
    elsewhere = {**call, "requestID": "s", "requestParameters": {"allocationId": "eipalloc-0123", "instanceId": "i-0"}}
    evidence = verify(cutover, trail=trail_of(before, call, elsewhere))
    others = [each for each in evidence["changes"] if each["state"] is None]
    assert [(each["by"], each["to"], each["requestId"]) for each in others] == [("Deployer/alice", "i-0123", "r")]


def test_a_change_whose_answer_was_lost_gets_its_request_from_cloudtrail(aws: Aws, ec2_calls: EC2Calls) -> None:
    ec2_calls.inject(Fault(action="AssociateAddress", kind="answer-lost"))
    history = history_of(aws, aws.execute({}).arn)
    before = verify(history)
    assert broken(before) == set()
    lost = [each for each in before["changes"] if each["requestId"] is None]
    assert [each["state"] for each in lost] == ["ReassociateProduction"]
    lost[0]["requestId"] = "lost"
    evidence = verify(history, trail=trail_of(before))
    assert (evidence["changes"][1]["requestId"], evidence["notChecked"]) == ("lost", [])


@pytest.mark.parametrize(
    ("asked", "behaviour", "outcome"),
    [
        ({}, sick_as_production, "RolledBack"),
        ({}, sick, "StagingUnhealthy"),
        ({"dryRun": True}, None, "DRY_RUN"),
        ({"serverName": "bittybot"}, None, "ALREADY_LIVE"),
        ({"pair": "no"}, None, "InvalidRequest"),
        ({"emergency": True}, None, "CUT_OVER"),
        ({"rollback": True}, None, "InvalidRequest"),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_a_true_history_breaks_nothing(asked: Any, behaviour: Any, outcome: str, aws: Aws, web: Web) -> None:
    if behaviour:
        web.behaviour["tao"] = behaviour
    evidence = verify(history_of(aws, aws.execute(asked).arn))
    assert (evidence["outcome"], broken(evidence)) == (outcome, set())
    assert [each["state"] for each in evidence["checks"] if not each["passed"]] == {
        "RolledBack": ["HealthCheckProduction"], "StagingUnhealthy": ["HealthCheckStaging"],
    }.get(outcome, [])  # fmt: skip


@pytest.mark.usefixtures("approval")
def test_who_approved_is_in_the_evidence(aws: Aws) -> None:
    history = history_of(aws, Waiting(aws).approve().arn)
    evidence = verify(history)
    assert (evidence["approvedBy"], broken(evidence)) == (ERIN, set())
    history.answer("DescribeAddresses", lambda plan: plan.update(approvalMinutes=None))
    history.remove(history.of_state("WaitForApproval"))
    history.smooth()
    assert verify(history)["approvedBy"] is None


def test_a_stopped_execution_is_verified_with_its_repair(aws: Aws, stopped: Callable[[], str]) -> None:
    arn = stopped()
    repair = later(history_of(aws, aws.repair(arn).arn), 60)  # the wait for its last call is short here
    evidence = verify(history_of(aws, arn), repair)
    assert (evidence["outcome"], [each["outcome"] for each in evidence["repairs"]]) == ("ABORTED", ["REPAIRED"])
    assert (broken(evidence), results(evidence)["takeovers-wait"]) == (set(), "holds")
    assert verify(repair)["kept"]
    soon = verify(history_of(aws, arn), later(repair, -50))
    assert broken(soon) == {"takeovers-wait"}


def test_a_repair_of_another_execution_is_not_evidence(aws: Aws, stopped: Callable[[], str]) -> None:
    arn = stopped()
    repair = history_of(aws, aws.repair(arn).arn)
    repair.described["input"] = '{"execution": "another", "status": "ABORTED"}'
    assert verify(history_of(aws, arn), repair)["repairs"] == []


def test_a_running_execution_is_verified_so_far(cutover: History) -> None:
    cutover.events = cutover.events[:60]
    del cutover.described["stopDate"], cutover.described["output"]
    cutover.described["status"] = "RUNNING"
    evidence = verify(cutover)
    assert (evidence["kept"], evidence["ended"]) == (True, None)
    assert evidence["notChecked"][0] == "The execution still runs: only what it has done so far was checked."


def test_an_execution_of_another_workflow_is_refused(cutover: History) -> None:
    account = Account(services(cutover))
    cutover.described = {**cutover.described, "stateMachineArn": "arn:of:another"}
    with pytest.raises(Problem, match="is not an execution of "):
        verified(account, cutover.described["executionArn"])


def test_the_exit_code_says_whether_a_guarantee_is_broken(cutover: History, capsys: Capture) -> None:
    arn = cutover.described["executionArn"]
    assert main(["verify", arn], session=services(cutover)) == 0
    out = capsys.readouterr().out
    assert "\nholds        Each change is a step of the plan, and is made once. A dry run changes nothing\n" in out
    assert "\nnot known    A function describes both addresses" in out
    no_rehearsal(cutover)
    cutover.smooth()
    assert main(["verify", arn, "--json"], session=services(cutover)) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["kept"], document["exitCode"]) == (False, 1)
    assert main(["verify", arn], session=services(cutover)) == 1
    assert "\nbroken       Nothing changes before the checks" in capsys.readouterr().out


def test_what_a_history_contains_cannot_control_the_terminal(cutover: History, capsys: Capture) -> None:
    def hostile(payload: Any) -> None:
        payload["address"]["server"] = "tao\x1b[2J\n::error::x"

    cutover.answer("ReassociateProduction", hostile)
    cutover.smooth()
    assert main(["verify", cutover.described["executionArn"]], session=services(cutover)) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "  tao [2J : :error: :x  " in out


@pytest.mark.parametrize("value", [None, [], 7, "x", {"name": 7}])
def test_a_plan_of_another_form_is_a_contradiction_and_no_crash(value: object, cutover: History) -> None:
    cutover.answer("DescribeAddresses", lambda plan: plan.update(idle=value, hooks=value, record=value))
    cutover.smooth()
    assert not verify(cutover)["kept"]
