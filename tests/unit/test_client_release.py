"""`approve` and `reject`: which execution they answer, what they say, and why they refuse."""

import json
from typing import Any

import pytest

from client.account import Account
from client.commands import main
from client.progress import doing
from domain.lock import Lock
from tests.unit.client_doubles import (
    EXECUTION,
    PAIR,
    Service,
    event,
    item,
    lock_table,
    parameter_store,
    refusal,
    session,
)

Capture = pytest.CaptureFixture[str]
ALICE = "arn:aws:sts::111122223333:assumed-role/Deployer/alice"
HOLDER = f"{EXECUTION}:release-7"
SINCE = "2026-02-01T09:30:00Z"
HELD = {"pair": "web", "execution": HOLDER, "since": SINCE, "server": "tao"}
WAITS = {**HELD, "approvalToken": "AAAA", "approvesUntil": "2026-02-01T10:30:00Z",
         "releases": {"tao": {"release": "7", "at": SINCE, "execution": HOLDER, "deployed": True}}}  # fmt: skip
ANSWERS: dict[str, Any] = {"send_task_success": {}, "send_task_failure": {}}


class Answering:
    """A run of `approve` or `reject` with this item of the lock table, and what it called."""

    def __init__(self, *words: str, held: dict[str, Any] | None, **states: Any) -> None:
        self.states = Service(**{**ANSWERS, **states})
        self.table = lock_table(item(**held)) if held else lock_table()
        sts = Service(get_caller_identity={"Arn": ALICE})
        services = {"stepfunctions": self.states, "dynamodb": self.table, "sts": sts, "ssm": parameter_store(PAIR)}
        self.code = main(words, session=session(**services))

    @property
    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        return [call for call in self.states.calls if call[0].startswith("send_task")]


def test_an_approval_ends_the_wait_with_the_name_of_the_caller_and_says_how_to_follow(capsys: Capture) -> None:
    done = Answering("approve", held=WAITS)
    assert done.code == 0
    approval = {"taskToken": "AAAA", "output": json.dumps({"approvedBy": ALICE})}
    assert done.sent == [("send_task_success", approval)]
    ((_, read),) = done.table.calls
    assert read == {"TableName": "locks", "Key": {"pair": {"S": "web"}}, "ConsistentRead": True}
    assert capsys.readouterr().out == (
        f"approved   pair web, tao, release 7, by {ALICE}\nto follow  run:\n  cutover.py watch {HOLDER}\n"
    )


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], f"rejected by {ALICE}"),
        (["--reason", "too late today"], f"rejected by {ALICE}: too late today"),
        (["--reason", "no\naws ec2 release-address \x1b[2J"], f"rejected by {ALICE}: no aws ec2 release-address  [2J"),
        (["--reason", "x" * 600], f"rejected by {ALICE}: {'x' * 497}..."),
    ],
    ids=["no reason", "a reason", "hostile", "long"],
)
def test_a_rejection_says_who_and_why_on_one_line(words: list[str], cause: str) -> None:
    done = Answering("reject", "--pair", "web", *words, held=WAITS)
    assert done.code == 0
    assert done.sent == [("send_task_failure", {"taskToken": "AAAA", "error": "Rejected", "cause": cause})]


def test_an_answer_as_json_has_no_token(capsys: Capture) -> None:
    assert Answering("reject", "--reason", "no", "--json", held=WAITS).code == 0
    out = capsys.readouterr().out
    assert json.loads(out) == {
        "answer": "rejected", "pair": "web", "server": "tao", "release": "7", "execution": HOLDER, "by": ALICE,
        "reason": "no",
    }  # fmt: skip
    assert "AAAA" not in out


DEPLOYS = [event(1, "ExecutionStarted"), event(2, "TaskStateEntered", name="DeployRelease")]


@pytest.mark.parametrize(
    ("held", "history", "says"),
    [
        (None, [], "No execution holds pair web, so nothing waits for approval."),
        ({"pair": "web", "revision": 3}, [], "No execution holds pair web, so nothing waits for approval."),
        (HELD, DEPLOYS, f"The execution {HOLDER} does not wait for approval now: DeployRelease."),
        (HELD, [*DEPLOYS, event(3, "ExecutionAborted")], "does not wait for approval now: it has ended."),
        (HELD, refusal("AccessDeniedException"), "does not wait for approval now: what it does is unknown."),
        ({**HELD, "execution": "x\naws ec2 y"}, [], "The execution x aws ec2 y does not wait for approval now: "),
    ],
    ids=["never locked", "free", "deploys", "ended", "history denied", "by hand"],
)
@pytest.mark.parametrize("word", ["approve", "reject"])
def test_if_nothing_waits_for_approval_nothing_is_answered_and_the_client_says_what_is_true(
    word: str, held: dict[str, Any] | None, history: Any, says: str, capsys: Capture
) -> None:
    answer = history if isinstance(history, Exception) else {"events": history[::-1]}
    done = Answering(word, held=held, get_execution_history=answer)
    assert (done.code, done.sent) == (1, [])
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert not [line for line in err.splitlines() if line.strip().startswith("aws ")]
    assert (f"\n  cutover.py watch {HOLDER}\n" in err) == (HOLDER in says or "now: it" in says or "now: what" in says)


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
@pytest.mark.parametrize("word", ["approve", "reject"])
def test_a_wait_that_has_just_ended_is_not_answered_and_the_client_says_how_to_see_why(
    word: str, code: str, capsys: Capture
) -> None:
    ended = refusal(code)
    assert Answering(word, held=WAITS, send_task_success=ended, send_task_failure=ended).code == 1
    err = capsys.readouterr().err
    assert f"The wait of {HOLDER} has just ended: it was answered, its time is over, or " in err
    assert f"\n  cutover.py watch {HOLDER}\n" in err


@pytest.mark.parametrize(("word", "action"), [("approve", "SendTaskSuccess"), ("reject", "SendTaskFailure")])
def test_an_answer_that_is_not_permitted_names_the_action(word: str, action: str, capsys: Capture) -> None:
    denied = refusal("AccessDeniedException", operation=action)
    assert Answering(word, held=WAITS, send_task_success=denied, send_task_failure=denied).code == 1
    assert f"cutover.py: {action} is not permitted; docs/client.md lists the permissions" in capsys.readouterr().err


def test_the_lock_is_read_for_each_state_in_its_own_way() -> None:
    command = Account(session()).command
    deployed = {"step": "deploy", "server": "tao", "status": "Success", "line": "up"}
    lock = Lock("web", HOLDER, SINCE, "tao", command=deployed)
    assert doing("DeployRelease", lock, command) == doing("EndCommand", lock, command) == "deploy on tao: Success | up"
    # The item still has the command of an earlier state.
    assert doing("BeforeCutover", lock, command) == doing("WaitForApproval", lock, command) == ""
    assert doing("EndCommand", Lock("web", HOLDER, SINCE, "tao"), command) == ""
