"""Every fixed name of a stack derives from its `name`, so that two stacks in one account and Region share no name."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import jsonata
import pytest
from pydantic import TypeAdapter, ValidationError

from client.account import STACK
from domain.release_commands import Document, document
from stacks.configuration.names import DEFAULT_NAME, LONGEST, STACK_NAME, Names
from stacks.configuration.settings import configured
from stacks.monitoring.dashboard import Metrics
from stacks.monitoring.monitoring import alarm_names
from stacks.workflow import cutover, repair
from stacks.workflow.notifications import subject_of
from tests.stacks.contexts import COMPLETE
from tests.stacks.synthesis import CONTEXT, PROJECT

Templates = dict[str, dict[str, Any]]
# What a name is chosen for that CloudFormation would choose otherwise, by type.
PHYSICAL_NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName", "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodePipeline::Pipeline": "Name", "AWS::Logs::LogGroup": "LogGroupName", "AWS::SSM::Document": "Name",
    "AWS::SSM::Parameter": "Name", "AWS::StepFunctions::StateMachine": "StateMachineName",
}  # fmt: skip
ALLOWED = TypeAdapter[str](Annotated[str, STACK_NAME])
TEAM_B = "team-b-by-the-longest-name-there-is"
LONGEST_PAIR = "p" * 64
LINK_TO_A_HEADING = re.compile(r"docs/runbook\.md#[\w-]+")


def app_of(folder: Path, name: str, pair_name: str) -> Templates:
    """The templates that `cdk deploy --all --context name=...` would deploy, by the stack's id."""
    context = CONTEXT | COMPLETE[0] | {"name": name, "pairs": {pair_name: COMPLETE[0]["pairs"]["web"]}}
    context["pipeline"] = COMPLETE[0]["pipeline"] | {"pair": pair_name}
    environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(folder)}
    subprocess.run([sys.executable, "app.py"], cwd=PROJECT, env=environment, capture_output=True, check=True)
    return {path.name.partition(".")[0]: json.loads(path.read_text()) for path in folder.glob("*.template.json")}


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return app_of(tmp_path_factory.mktemp("default"), DEFAULT_NAME, "web")


@pytest.fixture(scope="module")
def team_b(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return app_of(tmp_path_factory.mktemp("team-b"), TEAM_B, LONGEST_PAIR)


def document_of_web() -> Document:
    made = document(configured(COMPLETE[0].get).pairs["web"].as_read("web"))
    assert made
    return made


def physical_names(templates: Templates) -> set[tuple[str, str]]:
    return {
        (resource["Type"], name)
        for template in templates.values()
        for resource in template["Resources"].values()
        if (name := resource["Properties"].get(PHYSICAL_NAMES.get(resource["Type"])))
    }


def test_the_names_of_the_default_stack_never_change(default: Templates) -> None:
    assert default.keys() == {"EipCutover", "EipCutoverPipeline"}
    assert STACK in default
    alarms = ("rollback-failed", "repair-failed", "repair-ran", "lock-held-too-long", "not-ready")
    workflows = ("eip-cutover", "eip-cutover-repair", "eip-cutover-readiness")
    assert physical_names(default) == {
        *(("AWS::CloudWatch::Alarm", f"eip-cutover-{alarm}") for alarm in alarms),
        ("AWS::CloudWatch::Dashboard", "eip-cutover"),
        ("AWS::CodePipeline::Pipeline", "eip-cutover-web"),
        ("AWS::SSM::Document", f"eip-cutover.{document_of_web().key}"),
        ("AWS::SSM::Parameter", "/eip-cutover/pairs/web"),
        *(("AWS::StepFunctions::StateMachine", workflow) for workflow in workflows),
        *(("AWS::Logs::LogGroup", f"/aws/vendedlogs/states/{workflow}") for workflow in workflows),
    }


def test_two_stacks_share_no_name(default: Templates, team_b: Templates) -> None:
    assert team_b.keys() == {"TeamBByTheLongestNameThereIs", "TeamBByTheLongestNameThereIsPipeline"}
    assert len(physical_names(team_b)) == len(physical_names(default))
    assert not physical_names(team_b) & physical_names(default)
    assert {kind for kind, _ in physical_names(team_b)} == PHYSICAL_NAMES.keys()


def test_another_stack_has_the_default_name_only_in_links_to_headings(team_b: Templates) -> None:
    """Policies, event patterns, sources, alarms, metrics and texts included."""
    text = LINK_TO_A_HEADING.sub("", json.dumps(team_b))
    assert not re.search(r"eip[-_]?cutover", text, re.IGNORECASE)


def test_functions_emit_metrics_into_the_namespace_of_their_stacks_alarms(team_b: Templates) -> None:
    resources = [each for template in team_b.values() for each in template["Resources"].values()]
    functions = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::Function"]
    emitted = {each["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] for each in functions}
    alarms = {each["Properties"]["Namespace"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms - {"AWS/States"} == emitted == {Names(TEAM_B).stack}


def test_no_name_is_longer_than_aws_allows(team_b: Templates) -> None:
    assert len(TEAM_B) == LONGEST
    allowed = {
        "AWS::CloudWatch::Alarm": 255, "AWS::CloudWatch::Dashboard": 255, "AWS::CodePipeline::Pipeline": 100,
        "AWS::Logs::LogGroup": 512, "AWS::SSM::Document": 128, "AWS::SSM::Parameter": 900,
        "AWS::StepFunctions::StateMachine": 80, "AWS::Scheduler::ScheduleGroup": 64, "AWS::Scheduler::Schedule": 64,
    }  # fmt: skip
    assert all(len(name) <= allowed[kind] for kind, name in physical_names(team_b))
    assert all(len(stack) <= 128 for stack in team_b)
    assert max(len(name) for kind, name in physical_names(team_b) if kind == "AWS::CodePipeline::Pipeline") == 100


@pytest.mark.parametrize("name", [DEFAULT_NAME, TEAM_B])
def test_sns_accepts_the_subject_of_every_outcome_of_every_pair(name: str) -> None:
    for outcome in (*cutover.SUCCESSES, *cutover.FAILURES, *repair.SUCCESSES, *repair.FAILURES):
        assert len(subject(name, LONGEST_PAIR, outcome)) < 100
        assert subject(name, LONGEST_PAIR, outcome).endswith(f"p {outcome}")
        assert subject(name, "web", outcome) == f"{name}: web {outcome}"


def subject(name: str, pair: str, outcome: str) -> str:
    variables = f'$plan := {{"pair": "{pair}"}}; $outcome := "{outcome}"'
    return str(jsonata.Jsonata(f"({variables}; {subject_of(name)})").evaluate({}))


def valid(name: str) -> bool:
    try:
        return bool(ALLOWED.validate_python(name))
    except ValidationError:
        return False


def test_two_names_never_give_the_same_name_of_a_stack_a_workflow_or_a_pipeline() -> None:
    short = ("".join(letters) for count in range(1, 6) for letters in itertools.product("ab1-", repeat=count))
    candidates = [name + end for name in short for end in ("", "-repair", "-readiness", "-pipeline")]
    chosen = [name for name in candidates if valid(name)]
    assert {"a", "a1", "a-1", "ab", "a-b", "a-b1", "a-b-1"} < {*chosen}
    for kinds in (("cutover", "repair", "readiness"), ("stack", "pipeline_stack"), ("pairs_path",), ("documents",)):
        every = [getattr(Names(name), kind) for name in chosen for kind in kinds]
        assert len({*every}) == len(every)
    every = [alarm for name in chosen for alarm in alarm_names(Names(name))]
    assert len({*every}) == len(every)
    # The names of one stack's documents never begin like those of another stack's.
    prefixes = sorted(Names(name).documents for name in chosen)
    assert not any(later.startswith(prefix) for prefix, later in itertools.pairwise(prefixes))
    pairs = ("web", "a-web", "a", "a-a", "a.a", "a-a.a", "a--a", "a-b", "b-web", "b.web", "b--web", "b_web")
    names = [*chosen, DEFAULT_NAME, f"{DEFAULT_NAME}-a", f"{DEFAULT_NAME}-b"]
    pipelines = {Names(name).pipeline(pair) for name in names for pair in pairs}
    assert len(pipelines) == len(names) * len(pairs)
    # CodePipeline API Reference, PipelineDeclaration.
    assert all(re.fullmatch("[A-Za-z0-9.@_-]{1,100}", pipeline) for pipeline in pipelines)
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9-]*", Names(name).stack) for name in chosen)


@pytest.mark.parametrize(("name", "schema"), [("team-b", "{TeamB,pair}"), ("team-2", '{"Team-2",pair}')])
def test_the_dashboard_searches_the_metrics_of_its_own_stack(name: str, schema: str) -> None:
    """CloudWatch User Guide, "CloudWatch search expression syntax": in quotes if it is not alphanumeric."""
    search: Any = Metrics(Names(name)).each("Rollbacks", "pair", statistic="Sum")
    assert search.expression == f"SEARCH('{schema} MetricName=\"Rollbacks\"', 'Sum', 300)"
