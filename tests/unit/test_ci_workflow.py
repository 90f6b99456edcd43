"""CI runs what a person runs, `make check`, with nothing that could make the result differ."""

import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / ".github" / "workflows" / "ci.yml"
TEXT = FILE.read_text()
# YAML 1.1, which this parser reads, takes `on` for a boolean.
WORKFLOW = {"on" if key is True else key: value for key, value in yaml.safe_load(TEXT).items()}
(JOB,) = WORKFLOW["jobs"].values()


def test_every_push_and_every_pull_request_runs_make_check_and_nothing_else() -> None:
    assert WORKFLOW["on"] == {"push": None, "pull_request": None}
    assert [step["run"] for step in JOB["steps"] if "run" in step] == ["make check"]
    # No condition, variable, shell, service or matrix: only the machine, and the versions of Python and Node.
    assert WORKFLOW.keys() == {"name", "on", "permissions", "jobs"}
    assert JOB.keys() == {"runs-on", "timeout-minutes", "steps"}
    assert all(step.keys() <= {"uses", "with", "run"} for step in JOB["steps"])
    settings = [step["with"] for step in JOB["steps"] if "uses" in step]
    assert settings == [{"persist-credentials": False}, {"python-version": "3.13"}, {"node-version": "22"}]


def test_ci_may_only_read_and_has_a_time_limit() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "secrets." not in TEXT
    assert JOB["timeout-minutes"] <= 30


def test_every_action_is_pinned_by_its_full_commit_with_its_version() -> None:
    uses = re.findall(r"uses: (.+)", TEXT)
    assert len(uses) == 3
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)


def test_dependabot_proposes_newer_versions_of_what_is_pinned_in_the_files_of_github_and_npm() -> None:
    configured = yaml.safe_load((PROJECT / ".github" / "dependabot.yml").read_text())
    assert configured["version"] == 2
    weekly = {"directory": "/", "schedule": {"interval": "weekly"}}  # `/` includes action.yml and .github/workflows
    assert configured["updates"] == [{"package-ecosystem": name, **weekly} for name in ("github-actions", "npm")]
    assert (PROJECT / "package-lock.json").exists()


def test_the_gitlab_example_says_that_the_tag_of_its_image_can_move() -> None:
    text = (PROJECT / "examples" / "gitlab" / ".gitlab-ci.yml").read_text()
    assert re.search(r"# A tag can move: .*digest.*@sha256:.*\n +name: amazon/aws-cli:[\d.]+ ", text)
