"""The GitHub Action and the examples parse, and the step of the action does what it says, in a real shell."""

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

PROJECT = Path(__file__).parents[2]
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((PROJECT / "examples" / "github" / "cutover.yml").read_text())
GITLAB = yaml.safe_load((PROJECT / "examples" / "gitlab" / ".gitlab-ci.yml").read_text())
CLIENT = PROJECT / "cutover.py"
ALL_STEPS = [*ACTION["runs"]["steps"], *(step for job in WORKFLOW["jobs"].values() for step in job["steps"])]
STEPS = {step.get("id") or step.get("name") or step["uses"].partition("@")[0]: step for step in ACTION["runs"]["steps"]}
# In place of the client: records its words, prints a document, ends with a code.
STUB = """
import json, os, sys
json.dump(sys.argv[1:], open(os.environ["WORDS"], "w"))
sys.stdout.write(os.environ["DOCUMENT"])
sys.exit(int(os.environ["CODE"]))
"""
DONE = {"outcome": "CUT_OVER", "isLive": "tao", "execution": "arn:aws:states:eu-central-1:1:execution:eip-cutover:x"}


@dataclass
class Ran:
    code: int
    err: str
    words: list[str] | None
    outputs: dict[str, str]


@pytest.fixture
def cut_over(tmp_path: Path) -> Any:
    """Runs the step of the action, as GitHub's runner does, with these inputs in its environment."""
    (tmp_path / "cutover.py").write_text(STUB)
    programs = tmp_path / "eip-cutover" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    script = tmp_path / "step.sh"
    script.write_text(STEPS["cutover"]["run"])

    def run(document: Any = DONE, *, code: int = 0, attempt: str = "1", **inputs: str) -> Ran:
        names = {key: value.split("inputs.")[1].split()[0] for key, value in STEPS["cutover"]["env"].items()}
        given = {key: inputs.get(key, ACTION["inputs"][name].get("default", "")) for key, name in names.items()}
        words, output = tmp_path / "words.json", tmp_path / "output"
        words.unlink(missing_ok=True)
        output.write_text("")
        runner = {
            "PATH": os.environ["PATH"], "GITHUB_ACTION_PATH": str(tmp_path), "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(output), "GITHUB_SHA": "8f2c6a9d" * 5, "GITHUB_RUN_ID": "16789012345",
            "GITHUB_RUN_ATTEMPT": attempt, "WORDS": str(words), "CODE": str(code),
            "DOCUMENT": document if isinstance(document, str) else json.dumps(document, indent=2),
        }  # fmt: skip
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            env=runner | given,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.partition("=") for line in output.read_text().splitlines()]
        assert len({key for key, _, _ in lines}) == len(lines)
        received = json.loads(words.read_text()) if words.exists() else None
        return Ran(ended.returncode, ended.stderr, received, {key: value for key, _, value in lines})

    return run


def name_of(ran: Ran) -> str:
    (name,) = (word.removeprefix("--name=") for word in ran.words or () if word.startswith("--name="))
    return name


def test_the_client_gets_the_inputs_and_its_result_becomes_the_outputs(cut_over: Any) -> None:
    ran = cut_over(PAIR="web", SERVER="tao", EXPECTED_RELEASE="2", STACK="Mine")
    assert ran.code == 0
    words = [word for word in ran.words if not word.startswith("--name=")]
    assert words == ["start", "--json", "--stack=Mine", "--pair=web", "--server=tao", "--expected-release=2"]
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


def test_the_same_commit_attempt_and_inputs_have_the_same_name_and_others_have_another(cut_over: Any) -> None:
    name = name_of(cut_over(SERVER="tao"))
    assert name == name_of(cut_over(SERVER="tao"))
    assert re.fullmatch("github-8f2c6a9d8f2c-16789012345-1-[0-9a-f]{8}", name)
    others = [cut_over(SERVER="tao", attempt="2"), cut_over(SERVER="bittybot"), cut_over(SERVER="tao", DRY_RUN="true")]
    assert len({name, *map(name_of, others)}) == 4


def test_a_cutover_without_a_server_is_refused_and_a_dry_run_is_not(cut_over: Any) -> None:
    ran = cut_over()
    assert (ran.code, ran.words) == (2, None)
    assert "Name the server" in ran.err
    assert cut_over(DRY_RUN="true").words[-1] == "--dry-run"


@pytest.mark.parametrize("dry_run", ["yes", "True", "", "$(date)"])
def test_a_dry_run_that_is_neither_true_nor_false_starts_nothing(cut_over: Any, dry_run: str) -> None:
    ran = cut_over(SERVER="tao", DRY_RUN=dry_run)
    assert (ran.code, ran.words) == (2, None)


HOSTILE = ['"; touch run; "', "$(touch run)", "`touch run`", "'; touch run #", "--help", "a\nb", "* ?", "é"]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_input_is_run_or_split_or_read_as_an_option(cut_over: Any, tmp_path: Path, value: str) -> None:
    ran = cut_over(PAIR=value, SERVER=value, EXPECTED_RELEASE=value, STACK=value)
    assert {f"--{key}={value}" for key in ("pair", "server", "expected-release", "stack")} < set(ran.words)
    assert len(ran.words) == 7
    assert not (tmp_path / "run").exists()


def test_no_script_contains_an_expression_of_github_and_bash_parses_each() -> None:
    scripts = [step for step in ALL_STEPS if "run" in step]
    assert len(scripts) == 6
    assert {step["shell"] for step in ACTION["runs"]["steps"] if "run" in step} == {"bash"}
    for step in scripts:
        assert "${{" not in step["run"]
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_the_example_for_github_has_a_token_and_no_key_and_never_cancels_a_cutover() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read", "id-token": "write"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    assert "secrets." not in (PROJECT / "examples" / "github" / "cutover.yml").read_text()
    (used,) = (step for step in WORKFLOW["jobs"]["cutover"]["steps"] if step.get("id") == "cutover")
    assert set(used["with"]) <= ACTION["inputs"].keys()
    assert {name for name, each in ACTION["inputs"].items() if each["required"]} <= set(used["with"])
    texts = json.dumps(WORKFLOW["jobs"]["cutover"])
    assert set(re.findall(r"steps\.cutover\.outputs\.([a-z-]+)", texts)) <= ACTION["outputs"].keys()


def test_the_example_for_gitlab_has_a_token_and_no_key_and_one_release_at_a_time() -> None:
    job = GITLAB["release"]
    assert job["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "https://gitlab.com"}}
    assert job["resource_group"]
    assert job["interruptible"] is False
    assert not re.search("SECRET|ACCESS_KEY", json.dumps(job))
    for line in job["script"]:
        subprocess.run(["sh", "-n"], input=line, text=True, check=True)


def test_every_action_that_is_used_has_a_version() -> None:
    used = [step["uses"] for step in ALL_STEPS if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v[0-9]+(\.[0-9]+)*|[0-9a-f]{40})", name) for name in used)


def test_the_client_has_every_option_and_needs_only_the_packages_that_the_action_installs() -> None:
    command = [sys.executable, str(CLIENT), "start", "--help"]
    options = re.findall("--[a-z-]+", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {"--json", "--stack", "--name", "--pair", "--server", "--expected-release", "--dry-run"} <= set(options)
    pinned = re.findall(r"^(\w+)==", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert {"boto3", "click", "rich"} <= set(pinned)
