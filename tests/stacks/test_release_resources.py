"""What the stack has for the commands and the hooks of its pairs: documents, and the function that runs them."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domain.release_commands import document
from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured
from tests.stacks.contexts import COMPLETE, DEPLOY, FUNCTION, pair
from tests.stacks.policies import ACCOUNT, REGION, grants, statements_of
from tests.stacks.synthesis import many_pairs, resources, template_of
from tests.stacks.test_stack import assert_within_quotas

QUICK = {"command": "x", "timeoutSeconds": 30}
HOOKED = {"afterCutover": [{"function": FUNCTION}]}


def function_of(template: Mapping[str, Any]) -> dict[str, Any]:
    found = resources(template, "AWS::Lambda::Function").values()
    (function,) = (each for each in found if each["Properties"]["Handler"] == "run_commands.handler")
    return function


def granted_to_it(template: Mapping[str, Any]) -> set[tuple[str, str]]:
    return grants(statements_of(template, function_of(template)["Properties"]["Role"]["Fn::GetAtt"][0]))


def test_without_deploy_and_hooks_there_is_neither_a_function_nor_a_document(template: dict[str, Any]) -> None:
    assert "run_commands" not in str(resources(template, "AWS::Lambda::Function"))
    assert resources(template, "AWS::SSM::Document") == {}


def test_two_hundred_pairs_with_the_same_commands_fit_and_share_one_document(tmp_path: Path) -> None:
    functions = [{"function": f"{FUNCTION.removesuffix('live')}{number:0128}"} for number in range(60)]
    hooks = {"beforeCutover": [{"command": "x"}]}
    pairs: dict[str, Any] = {name: each | {"deploy": DEPLOY, "hooks": hooks} for name, each in many_pairs(200).items()}
    for number in range(6):
        pairs[f"pair-{number}"]["hooks"] = hooks | {"afterCutover": functions[number * 10 : number * 10 + 10]}
    template = template_of(tmp_path, {"pairs": pairs})
    assert_within_quotas(template, "aws", "ap-southeast-2")
    assert len(resources(template, "AWS::SSM::Document")) == 1
    assert len(resources(template, "AWS::Scheduler::Schedule")) == 1
    assert len(template["Resources"]) <= 500 - 189, "docs/configuration.md promises 190 different schedules"
    invoked = {on for may, on in granted_to_it(template) if may == "lambda:InvokeFunction"}
    assert invoked == {each["function"] for each in functions}


@pytest.mark.parametrize(("pairs", "with_functions", "most"), [(9, 9, 7), (200, 7, 56)])
def test_more_functions_of_hooks_than_a_role_can_name_are_refused_with_the_number_of_pairs_that_fit(
    tmp_path: Path, pairs: int, with_functions: int, most: int
) -> None:
    """With 200 pairs, the servers need policies of the role, too."""
    made = many_pairs(pairs)
    for number, name in enumerate(made):
        functions = [{"function": f"{FUNCTION}-{number}-{each}", "timeoutSeconds": 5} for each in range(30)]
        moments = ("beforeCutover", "afterCutover", "afterRollback")
        hooks = {moment: functions[index * 10 : index * 10 + 10] for index, moment in enumerate(moments)}
        made[name] |= {"hooks": hooks} if number < with_functions else {"deploy": DEPLOY}
    with pytest.raises(InvalidConfiguration) as refused:
        template_of(tmp_path / "too-many", {"pairs": made})
    assert refused.value.problems == (
        f"pairs: found {pairs} pairs with {30 * with_functions} functions of hooks; allowed: the first {most} of them, "
        "because the IAM policies of one role cannot name more",
    )
    template = template_of(tmp_path / "most", {"pairs": dict(islice(made.items(), most))})
    assert_within_quotas(template, "aws", "ap-southeast-2")
    invoked = [on for may, on in granted_to_it(template) if may == "lambda:InvokeFunction"]
    assert len(invoked) == 30 * min(most, with_functions)


def test_a_document_has_the_text_whose_hash_a_command_is_sent_with(tmp_path: Path) -> None:
    template = template_of(tmp_path, COMPLETE[0])
    (found,) = resources(template, "AWS::SSM::Document").values()
    made = document(configured(COMPLETE[0].get).pairs["web"].as_read("web"))
    assert made
    assert found["Properties"] == {
        "Name": f"team-b.{made.key}", "Content": made.content, "DocumentFormat": "JSON", "DocumentType": "Command",
        "TargetType": "/AWS::EC2::Instance", "UpdateMethod": "Replace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({"deploy": DEPLOY}, 690),
        ({"deploy": DEPLOY | {"timeoutSeconds": 840}}, 900),
        ({"hooks": {"afterRollback": [{"command": "x", "timeoutSeconds": 50}] * 2}, "deploy": QUICK}, 190),
        ({"hooks": HOOKED}, 150),
    ],
)
def test_the_function_that_runs_commands_has_the_time_of_the_longest_moment_and_a_reserve(
    tmp_path: Path, keys: dict[str, Any], seconds: int
) -> None:
    template = template_of(tmp_path, {"pairs": many_pairs(1) | {"web": pair(**keys)}})
    function = function_of(template)
    assert function["Properties"]["Timeout"] == seconds
    assert function["Properties"]["MemorySize"] == 192
    assert function["Properties"]["Environment"]["Variables"].keys() >= {"LOCK_TABLE", "DOCUMENTS"}
    assert function["Properties"]["Environment"]["Variables"]["DOCUMENTS"] == "eip-cutover."
    assert {*resources(template, "AWS::SSM::Document")} <= {*function["DependsOn"]}


def test_commands_may_be_sent_only_by_the_documents_of_the_stack_and_only_to_servers_of_pairs_with_commands(
    tmp_path: Path,
) -> None:
    pairs = many_pairs(3)
    pairs["pair-0"] |= {"deploy": DEPLOY}
    pairs["pair-1"] |= {"hooks": HOOKED}
    template = template_of(tmp_path, {"pairs": pairs})
    here = f"{REGION}:{ACCOUNT}"
    granted = granted_to_it(template)
    assert {on for may, on in granted if may == "ssm:SendCommand"} == {
        f"arn:aws:ssm:{here}:document/eip-cutover.*",
        *(f"arn:aws:ec2:{here}:instance/{server}" for server in pairs["pair-0"]["servers"].values()),
    }
    assert {on for may, on in granted if may == "lambda:InvokeFunction"} == {FUNCTION}


def test_for_hooks_that_are_functions_there_is_no_document_and_no_permission_of_systems_manager(tmp_path: Path) -> None:
    template = template_of(tmp_path, {"pairs": {"web": pair(hooks=HOOKED)}})
    assert resources(template, "AWS::SSM::Document") == {}
    assert not [may for may, _ in granted_to_it(template) if may.startswith("ssm:")]


@pytest.mark.parametrize(("with_commands", "times"), [(True, 3), (False, 0)])
def test_only_a_stack_that_can_end_a_command_keeps_the_lock_for_it(
    template: dict[str, Any], tmp_path: Path, with_commands: bool, times: int
) -> None:
    """Without the function, the states would wait for ever for a command of an earlier version of the stack."""
    deployed = template_of(tmp_path, {"pairs": {"web": pair(deploy=QUICK)}}) if with_commands else template
    definitions = str(resources(deployed, "AWS::StepFunctions::StateMachine"))
    assert definitions.count("attribute_not_exists(commandRuns)") == times + with_commands  # both workflows release it
