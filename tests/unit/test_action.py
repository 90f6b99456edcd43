"""The GitHub Action and the examples are valid, and the step of the action runs in a real shell."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.ci_logs import PAYLOADS, executed
from tests.unit.wheels import only_from, wheel

PROJECT = Path(__file__).parents[2]
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((PROJECT / "examples" / "github" / "cutover.yml").read_text())
GITLAB = yaml.safe_load((PROJECT / "examples" / "gitlab" / ".gitlab-ci.yml").read_text())
CLIENT = PROJECT / "cutover.py"
ALL_STEPS = [*ACTION["runs"]["steps"], *(step for job in WORKFLOW["jobs"].values() for step in job["steps"])]
STEPS = {step.get("id") or step.get("name") or step["uses"].partition("@")[0]: step for step in ACTION["runs"]["steps"]}
# In place of the client: records its words, prints what servers answered and a document, ends with a code.
STUB = """
import json, os, sys
print(os.environ["ANSWERS"], file=sys.stderr)
json.dump(sys.argv[1:], open(os.environ["WORDS"], "w"))
sys.stdout.write(os.environ["DOCUMENT"])
sys.exit(int(os.environ["CODE"]))
"""
SHADOWED = (
    "venv",
    "ensurepip",
    "pip",
    "boto3",
    "click",
    "json",
    "secrets",
    "client",
    "guarantees",
    "sitecustomize",
    "usercustomize",
)
DONE = {"outcome": "CUT_OVER", "isLive": "tao", "execution": "arn:aws:states:eu-central-1:1:execution:eip-cutover:x"}


@dataclass
class Ran:
    code: int
    log: str  # standard error first, as the runner may read it
    words: list[str] | None
    outputs: dict[str, str]
    summary: str


@dataclass
class Checkout:
    """The caller's checkout, the working directory of every step: a module in it that is imported leaves a mark."""

    folder: Path
    environment: dict[str, str]

    @property
    def imported(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.imported"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(f"open({str(folder / name)!r} + '.imported', 'w')")
    return Checkout(folder, {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "RUNNER_TEMP": str(tmp_path)})


def shell(script: str, checkout: Checkout, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the script of a step as GitHub's runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        env=checkout.environment | environment,
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def cut_over(tmp_path: Path, checkout: Checkout) -> Any:
    """Runs the step of the action, as GitHub's runner does, with these inputs in its environment."""
    (tmp_path / "cutover.py").write_text(STUB)
    programs = tmp_path / "eip-cutover" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)

    def run(document: Any = DONE, *, code: int = 0, attempt: str = "1", answers: str = "", **inputs: str) -> Ran:
        names = {key: value.split("inputs.")[1].split()[0] for key, value in STEPS["cutover"]["env"].items()}
        given = {key: inputs.get(key, ACTION["inputs"][name].get("default", "")) for key, name in names.items()}
        words, output, summary = tmp_path / "words.json", tmp_path / "output", tmp_path / "summary"
        words.unlink(missing_ok=True)
        output.write_text("")
        summary.write_text("")
        runner = {
            "GITHUB_ACTION_PATH": str(tmp_path), "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_SHA": "8f2c6a9d" * 5,
            "GITHUB_RUN_ID": "16789012345", "GITHUB_RUN_ATTEMPT": attempt, "WORDS": str(words), "CODE": str(code),
            "DOCUMENT": document if isinstance(document, str) else json.dumps(document, indent=2), "ANSWERS": answers,
        }  # fmt: skip
        ended = shell(STEPS["cutover"]["run"], checkout, **runner | given)
        lines = [line.partition("=") for line in output.read_text().splitlines()]
        assert len({key for key, _, _ in lines}) == len(lines)
        received = json.loads(words.read_text()) if words.exists() else None
        outputs = {key: value for key, _, value in lines}
        return Ran(ended.returncode, ended.stderr + ended.stdout, received, outputs, summary.read_text())

    return run


def name_of(ran: Ran) -> str:
    (name,) = (word.removeprefix("--name=") for word in ran.words or () if word.startswith("--name="))
    return name


def test_the_client_gets_the_inputs_and_its_result_becomes_the_outputs(cut_over: Any) -> None:
    ran = cut_over(PAIR="web", RELEASE="42", SERVER="tao", EXPECTED_RELEASE="2", STACK="Mine", WAIT="15m")
    assert ran.code == 0
    words = [word for word in ran.words if not word.startswith("--name=")]
    options = ["--stack=Mine", "--pair=web", "--release=42", "--server=tao", "--expected-release=2", "--wait=15m"]
    assert words == ["start", "--json", *options]
    assert ran.outputs == {
        "outcome": "CUT_OVER", "live": "tao", "execution-arn": DONE["execution"], "exit-code": "0",
    }  # fmt: skip
    assert ran.outputs.keys() == ACTION["outputs"].keys()


@pytest.mark.parametrize(
    ("document", "code", "outputs"),
    [
        ({"outcome": "RolledBack", "isLive": None, "execution": "arn"}, 15,
         {"outcome": "RolledBack", "live": "", "execution-arn": "arn", "exit-code": "15"}),
        # It failed before it started anything.
        ("", 1, {"outcome": "", "live": "", "execution-arn": "", "exit-code": "1"}),
        # An outcome cannot add an output of its own.
        ({"outcome": "x\nlive=mallory", "isLive": "y\r\nz", "execution": "\x1b[2J"}, 19,
         {"outcome": "xlive=mallory", "live": "yz", "execution-arn": "[2J", "exit-code": "19"}),
    ],
    ids=["rolled back", "not started", "hostile"],
)  # fmt: skip
def test_a_failure_of_the_client_fails_the_step_with_its_code_and_the_outputs_are_still_set(
    cut_over: Any, document: Any, code: int, outputs: dict[str, str]
) -> None:
    ran = cut_over(document, code=code, SERVER="tao")
    assert (ran.code, ran.outputs) == (code, outputs)


def test_the_same_commit_attempt_and_inputs_give_the_same_name_and_any_other_gives_another(cut_over: Any) -> None:
    name = name_of(cut_over(SERVER="tao"))
    assert name == name_of(cut_over(SERVER="tao"))
    assert re.fullmatch("github-8f2c6a9d8f2c-16789012345-1-[0-9a-f]{8}", name)
    others = [cut_over(SERVER="tao", attempt="2"), cut_over(SERVER="bittybot"), cut_over(SERVER="tao", DRY_RUN="true")]
    others += [cut_over(SERVER="tao", WAIT="90s"), cut_over(RELEASE="tao")]
    assert len({name, *map(name_of, others)}) == 6


def test_a_cutover_with_neither_a_release_nor_a_server_is_refused_and_a_dry_run_is_not(cut_over: Any) -> None:
    ran = cut_over()
    assert (ran.code, ran.words) == (2, None)
    assert "Set the input release, or the input server" in ran.log
    assert cut_over(DRY_RUN="true").words[-1] == "--dry-run"
    assert cut_over(RELEASE="42").words[-1] == "--release=42"


@pytest.mark.parametrize("dry_run", ["yes", "True", "", "$(date)"])
def test_a_dry_run_that_is_neither_true_nor_false_starts_nothing(cut_over: Any, dry_run: str) -> None:
    ran = cut_over(SERVER="tao", DRY_RUN=dry_run)
    assert (ran.code, ran.words) == (2, None)


HOSTILE = ['"; touch run; "', "$(touch run)", "`touch run`", "'; touch run #", "--help", "a\nb", "* ?", "é"]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_input_is_executed_split_or_read_as_an_option(cut_over: Any, checkout: Checkout, value: str) -> None:
    options = ("pair", "release", "server", "expected-release", "stack", "wait")
    ran = cut_over(**{key.replace("-", "_").upper(): value for key in options})
    assert {f"--{key}={value}" for key in options} < set(ran.words)
    assert len(ran.words) == 9
    assert not (checkout.folder / "run").exists()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("code", [0, 15])
def test_nothing_that_servers_answered_is_a_command_to_github(cut_over: Any, payload: str, code: int) -> None:
    assert executed(payload)
    ran = cut_over(payload, code=code, answers=payload, SERVER="tao")
    assert (ran.code, executed(ran.log)) == (code, ["stop-commands", "resumed"] + (["error"] if code else []))
    assert payload.splitlines()[-1] in ran.log


CAUSE = "tao is not healthy: expected status 200, found 500 in 100% of 3 probes"


def test_the_job_shows_the_outcome_and_if_it_failed_the_cause(cut_over: Any) -> None:
    failed = cut_over(
        {**DONE, "outcome": "StagingUnhealthy", "isLive": "bittybot", "cause": CAUSE, "advice": "Fix it."},
        code=12,
        SERVER="tao",
    )
    assert failed.summary.startswith("### Elastic IP cutover\n\n    StagingUnhealthy\n")
    assert f"    cause       {CAUSE}\n    what to do  Fix it.\n" in failed.summary
    error = f"::error title=Elastic IP cutover::StagingUnhealthy: {CAUSE.replace('%', '%25')}"
    assert failed.log.splitlines()[-1] == error
    done = cut_over(SERVER="tao")
    assert done.summary.startswith("### Elastic IP cutover\n\n    CUT_OVER\n    live        tao\n")
    assert "::error" not in done.log
    unstarted = cut_over("", code=1, SERVER="tao")
    assert unstarted.log.endswith("::the cutover was not started: read the log of this step\n")


def test_a_command_to_copy_has_a_line_of_its_own_in_what_the_job_shows(cut_over: Any) -> None:
    cause = "EC2 refused. Run:\naws ec2 associate-address --allocation-id a &&\naws ec2 associate-address"
    ran = cut_over({**DONE, "outcome": "RollbackFailed", "cause": cause}, code=16, SERVER="tao")
    commands = "aws ec2 associate-address --allocation-id a &&", "aws ec2 associate-address"
    assert "    cause       EC2 refused. Run:\n" + "".join(f"      {each}\n" for each in commands) in ran.summary
    assert ran.log.splitlines()[-1].endswith("RollbackFailed: " + cause.replace("\n", "%0A"))


@pytest.mark.parametrize("payload", [*PAYLOADS, "a\n\n# b\n[c](https://example.com)\n```\n<img src=x>", "`` <b>"])
def test_nothing_that_servers_answered_is_markdown_or_a_command_in_what_the_job_shows(
    cut_over: Any, payload: str
) -> None:
    ran = cut_over({**DONE, "outcome": "RolledBack", "cause": payload}, code=15, SERVER="tao")
    assert executed(ran.log) == ["stop-commands", "resumed", "error"]
    heading, empty, *lines = ran.summary.splitlines()
    assert (heading, empty) == ("### Elastic IP cutover", "")
    assert all(line.startswith("    ") for line in lines), "else it is no block of code"


def test_no_server_can_guess_the_token_that_resumes_commands(cut_over: Any) -> None:
    tokens = {re.search("::stop-commands::([0-9a-f]{64})\n", cut_over(SERVER="tao").log)[1] for _ in range(2)}  # type: ignore[index]
    assert len(tokens) == 2


def test_the_step_imports_nothing_from_the_callers_checkout(cut_over: Any, checkout: Checkout) -> None:
    assert cut_over(SERVER="tao").code == 0
    assert not checkout.imported


def install(checkout: Checkout, folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    (folder / "client").mkdir()
    (folder / "client" / "requirements.txt").write_text(lock)
    script = STEPS["Install the client"]["run"]
    return shell(script, checkout, GITHUB_ACTION_PATH=str(folder), **only_from(folder))


def test_the_installation_imports_nothing_from_the_callers_checkout(tmp_path: Path, checkout: Checkout) -> None:
    packages = ("boto3", "click", "rich")
    ended = install(checkout, tmp_path, "".join(wheel(tmp_path, name) for name in packages))
    assert ended.returncode == 0, ended.stderr
    assert not checkout.imported
    python = str(tmp_path / "eip-cutover" / "bin" / "python")
    subprocess.run([python, "-I", "-c", f"import {', '.join(packages)}"], check=True)


def test_a_package_without_its_hash_in_the_lock_file_is_not_installed(tmp_path: Path, checkout: Checkout) -> None:
    wheel(tmp_path, "boto3")
    ended = install(checkout, tmp_path, "boto3==1\n")
    assert (ended.returncode, "Hashes are required" in ended.stderr) == (1, True)


def test_a_package_that_runs_code_when_it_is_installed_is_not_installed(tmp_path: Path, checkout: Checkout) -> None:
    source = tmp_path / "boto3-1.tar.gz"
    source.write_text("its setup.py")
    ended = install(checkout, tmp_path, f"boto3==1 --hash=sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}\n")
    assert (ended.returncode, "No matching distribution" in ended.stderr) == (1, True)


def test_everything_is_installed_before_the_role_is_assumed() -> None:
    assert list(STEPS) == ["Install the client", "aws-actions/configure-aws-credentials", "cutover"]


def test_no_script_contains_an_expression_of_github_and_bash_parses_each() -> None:
    scripts = [step for step in ALL_STEPS if "run" in step]
    assert len(scripts) == 5
    assert {step["shell"] for step in ACTION["runs"]["steps"] if "run" in step} == {"bash"}
    for step in scripts:
        assert "${{" not in step["run"]
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_the_example_for_github_has_a_token_and_no_key_and_never_cancels_a_cutover() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {job["permissions"]["id-token"] for job in WORKFLOW["jobs"].values()} == {"write"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    assert "secrets." not in (PROJECT / "examples" / "github" / "cutover.yml").read_text()
    (used,) = (step for step in WORKFLOW["jobs"]["cutover"]["steps"] if step.get("id") == "cutover")
    assert used["with"]["release"] == "${{ github.sha }}"
    assert set(used["with"]) <= ACTION["inputs"].keys()
    assert {name for name, each in ACTION["inputs"].items() if each["required"]} <= set(used["with"])
    texts = json.dumps(WORKFLOW["jobs"]["cutover"])
    assert set(re.findall(r"steps\.cutover\.outputs\.([a-z-]+)", texts)) <= ACTION["outputs"].keys()


def test_the_example_for_gitlab_has_a_token_and_no_key_and_one_release_at_a_time() -> None:
    job = GITLAB["release"]
    assert job["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "https://gitlab.com"}}
    assert job["resource_group"]
    assert job["interruptible"] is False
    assert job["variables"]["RELEASE"] == "$CI_COMMIT_SHA"
    assert job["variables"]["AWS_DEFAULT_REGION"] == job["variables"]["AWS_REGION"]
    assert not re.search("SECRET|ACCESS_KEY", json.dumps(job))


@pytest.mark.parametrize("code", [0, 15])
def test_the_example_for_gitlab_keeps_its_token_to_itself_and_removes_it(tmp_path: Path, code: int) -> None:
    records = 'stat -c %a "$AWS_WEB_IDENTITY_TOKEN_FILE" >&2; cat "$AWS_WEB_IDENTITY_TOKEN_FILE" >&2'
    (tmp_path / "cutover.sh").write_text(f'{records}; echo "$AWS_WEB_IDENTITY_TOKEN_FILE"; exit {code}\n')
    (tmp_path / "tmp").mkdir()
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp"), "AWS_ID_TOKEN": "its-token"}
    script = "umask 022\n" + "\n".join(GITLAB["release"]["script"])

    def run() -> subprocess.CompletedProcess[str]:
        command = ["sh", "-e", "-c", script]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    runs = [run(), run()]
    assert [(each.returncode, each.stderr) for each in runs] == [(code, "600\nits-token")] * 2
    assert not list((tmp_path / "tmp").iterdir())
    assert runs[0].stdout != runs[1].stdout  # each has a file of its own


OWN_COPY = "octo-org/eip-cutover@v1"


@pytest.mark.parametrize("path", ["action.yml", "examples/github/cutover.yml"])
def test_every_action_that_is_used_is_pinned_by_its_full_commit_with_its_version(path: str) -> None:
    uses = [use for use in re.findall(r"uses: (.+)", (PROJECT / path).read_text()) if not use.startswith(OWN_COPY)]
    assert uses or path != "action.yml"
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses)


def test_the_client_has_every_option_and_imports_nothing_from_the_callers_checkout(checkout: Checkout) -> None:
    ended = shell(f"{sys.executable} -I {CLIENT} start --help", checkout)
    assert (ended.returncode, checkout.imported) == (0, []), ended.stderr
    options = re.findall("--[a-z-]+", ended.stdout)
    passed = re.findall(r"words\+?=\([^)]*\)", STEPS["cutover"]["run"])
    assert set(re.findall("--[a-z-]+", " ".join(passed))) <= set(options)
