"""Least privilege: the permissions of each role in the template are those in docs/permissions.md."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stacks.configuration.settings import configured
from tests.stacks.contexts import FUNCTION, RELEASES
from tests.stacks.policies import ACCOUNT, REGION, in_account, listed, statements_of
from tests.stacks.synthesis import CONTEXT, PROJECT, many_pairs, resources, template_of
from tests.stacks.test_stack import FUNCTIONS, REPORTS, STARTER

HERE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:"
WORKFLOWS = {"eip-cutover", "eip-cutover-repair"}
STATE_MACHINE = "AWS::StepFunctions::StateMachine"
READINESS = "eip-cutover-readiness"
RULE, SCHEDULE = "the rules that start the repair", "the schedules of evaluations"
LOG_DELIVERY = {
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
}  # fmt: skip
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
USE_KEY = {"kms:Decrypt", "kms:GenerateDataKey*"}
SAMPLING = {"xray:GetSamplingRules", "xray:GetSamplingTargets"}


@dataclass(frozen=True)
class Permission:
    role: str
    action: str
    resource: str


class Deployed:
    """A synthesized stack, asked for its roles by the names that docs/permissions.md gives them."""

    def __init__(self, pairs: Mapping[str, Any], folder: Path) -> None:
        self.pairs = configured({"pairs": pairs}.get).pairs
        self.template = template_of(folder, {"pairs": pairs})
        self.resources = self.template["Resources"]
        self.roles = {self._role(found): self.called(found) for found in self._with_roles()}

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [found["Properties"] for found in self.resources.values() if found["Type"] in kinds]

    def _with_roles(self) -> Iterator[dict[str, Any]]:
        machines = self.of(STATE_MACHINE)
        yield from self.of("AWS::Lambda::Function")
        yield from (machine for machine in machines if machine["StateMachineName"] != READINESS)  # it has no own role
        yield from self.of("AWS::Scheduler::Schedule")  # they share a role
        # A rule that calls a function has no role: the function's own policy lets it.
        yield from (rule for rule in self.of("AWS::Events::Rule") if "RoleArn" in rule["Targets"][0])

    @staticmethod
    def _role(found: dict[str, Any]) -> str:
        arn = found.get("Role") or found.get("RoleArn") or (found.get("Target") or found["Targets"][0])["RoleArn"]
        return str(arn["Fn::GetAtt"][0])

    @staticmethod
    def called(found: dict[str, Any]) -> str:
        other = SCHEDULE if "ScheduleExpression" in found and "Target" in found else RULE
        return str(found.get("StateMachineName") or found.get("Handler", other).removesuffix(".handler"))

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every statement of every role, with the name of who has the role."""
        for role, name in self.roles.items():
            for statement in statements_of(self.template, role):
                yield name, statement

    @property
    def functions(self) -> set[str]:
        return FUNCTIONS | REPORTS | {STARTER} | ({"run_commands"} if self.has_releases else set())

    @property
    def has_releases(self) -> bool:
        return any(pair.deploy for pair in self.pairs.values())

    @property
    def permissions(self) -> set[Permission]:
        return {
            Permission(role, as_documented(action), resource)
            for role, statement in self.statements()
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }

    def arn(self, reference: Any) -> str:
        return str(in_account(reference, self.template))

    def configured(self, words: str) -> set[str]:
        """The resources that docs/permissions.md means by some words."""
        pairs = self.pairs.values()
        match words:
            case "`*`":
                return {"*"}
            case "the production addresses":
                return {f"{HERE}elastic-ip/{pair.production}" for pair in pairs}
            case "the staging addresses":
                return {f"{HERE}elastic-ip/{pair.staging}" for pair in pairs}
            case "the servers":
                return {f"{HERE}instance/{instance}" for pair in pairs for instance in pair.servers.values()}
            case "any network interface":
                return {f"{HERE}network-interface/*"}
            case other:
                raise AssertionError(f"docs/permissions.md says {other!r}, which this test does not know")


def as_documented(action: str) -> str:
    """`dynamodb:Scan`, where the CDK writes `dynamodb:scan`; to IAM they are the same."""
    service, _, name = action.partition(":")
    return f"{service}:{name[:1].upper()}{name[1:]}"


def table_in_the_readme() -> Iterator[tuple[str, list[str], list[str]]]:
    """Role, actions, resources of each row; the role of the row before where there is none."""
    section = (PROJECT / "docs" / "permissions.md").read_text().split("\n## Data\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    assert rows[0] == ["role of", "may", "on"]
    role = ""
    for name, may, on in rows[2:]:
        role = name.strip("`") or role
        yield role, re.findall(r"`(ec2:\w+)`", may), [words for words in on.split(", ") if words]


HOOKED = {"hooks": {"afterCutover": [{"function": FUNCTION}]}}


@pytest.fixture(scope="module", params=["as shipped", "60 pairs with releases"])
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    pairs = CONTEXT["pairs"]
    if request.param != "as shipped":  # more than one policy holds; the last pair has no command
        pairs = {name: pair | RELEASES for name, pair in many_pairs(60).items()}
        pairs["pair-59"] = many_pairs(60)["pair-59"] | HOOKED
    return Deployed(pairs, tmp_path_factory.mktemp("permissions"))


def test_the_table_in_the_document_says_what_each_role_may_do_in_ec2_and_on_what(deployed: Deployed) -> None:
    said = {
        Permission(role, action, resource)
        for role, actions, words in table_in_the_readme()
        for action in actions
        for resource in {found for part in words for found in deployed.configured(part)}
    }
    assert {found for found in deployed.permissions if found.action.startswith("ec2:")} == said
    only_with_releases = set() if deployed.has_releases else {"run_commands"}
    assert {role for role, _, _ in table_in_the_readme()} - only_with_releases == set(deployed.roles.values())


def test_every_role_belongs_to_one_function_workflow_or_rule_and_only_its_service_may_assume_it(
    deployed: Deployed,
) -> None:
    assert sorted(deployed.roles.values()) == sorted([*deployed.functions, *WORKFLOWS, RULE, SCHEDULE])
    roles = {name: found for name, found in deployed.resources.items() if found["Type"] == "AWS::IAM::Role"}
    assert set(roles) == set(deployed.roles)
    services = {
        "lambda.amazonaws.com": deployed.functions,
        "states.amazonaws.com": WORKFLOWS,
        "events.amazonaws.com": {RULE},
        "scheduler.amazonaws.com": {SCHEDULE},
    }
    for policy in deployed.of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        assert not policy.get("Users")
        assert not policy.get("Groups")
    for name, role in roles.items():
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert deployed.roles[name] in services[trust["Principal"]["Service"]]
        assert set(role["Properties"]) <= {"AssumeRolePolicyDocument", "ManagedPolicyArns"}
        for managed in role["Properties"].get("ManagedPolicyArns", ()):
            assert deployed.resources[managed["Ref"]]["Type"] == "AWS::IAM::ManagedPolicy"


def test_no_role_may_do_anything_but_this(deployed: Deployed) -> None:
    """So no role may release an address, start or stop an instance, pass a role, or change a permission."""
    may: dict[str, set[str]] = {role: set() for role in deployed.roles.values()}
    for found in deployed.permissions:
        may[found.role].add(found.action)
    own_log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    workflow = {"lambda:InvokeFunction", "sns:Publish", "events:PutEvents", "dynamodb:UpdateItem"}
    workflow |= LOG_DELIVERY | TRACES | SAMPLING | USE_KEY
    commands = {"SendCommand", "CancelCommand", "GetCommandInvocation", "ListCommands"}
    releases = own_log | TRACES | {"dynamodb:GetItem", "dynamodb:UpdateItem", "lambda:InvokeFunction"}
    releases |= {f"ssm:{action}" for action in commands}
    ends_approvals = {"states:SendTaskFailure"} if deployed.has_releases else set()
    assert may == ({"run_commands": releases} if deployed.has_releases else {}) | {
        "describe_addresses": own_log
        | TRACES
        | {
            "ec2:DescribeAddresses",
            "ec2:DescribeAddressTransfers",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "dynamodb:GetItem",
            "cloudformation:GetTemplate",
        },
        "describe_restored": own_log | TRACES | {"ec2:DescribeAddresses"},
        "health_check": own_log | TRACES | {"ec2:DescribeAddresses", "dynamodb:GetItem"},
        "check_servers": own_log | TRACES | {"ec2:DescribeInstanceStatus", "dynamodb:GetItem"},
        "disassociate_address": own_log
        | TRACES
        | {"ec2:DescribeAddresses", "ec2:DisassociateAddress", "dynamodb:GetItem"},
        "associate_address": own_log | TRACES | {"ec2:DescribeAddresses", "ec2:AssociateAddress", "dynamodb:GetItem"},
        "measure_gap": own_log | TRACES | {"dynamodb:UpdateItem"},
        "report_outcome": own_log | TRACES | {"states:DescribeExecution"},
        "report_locks": own_log | TRACES | {"dynamodb:Scan"},
        "eip-cutover": workflow | {"dynamodb:GetItem", "states:DescribeExecution"} | ends_approvals,
        "eip-cutover-repair": workflow | {"dynamodb:Scan", "states:DescribeExecution"},
        RULE: {"states:StartExecution"},
        STARTER: own_log | TRACES | {"ec2:DescribeAddresses", "states:StartExecution"},
        SCHEDULE: {"lambda:InvokeFunction"},
    }


def test_an_evaluation_has_the_role_of_the_cutover_and_so_finds_what_a_cutover_lacks(deployed: Deployed) -> None:
    roles = {machine["StateMachineName"]: machine["RoleArn"] for machine in deployed.of(STATE_MACHINE)}
    assert roles[READINESS] == roles["eip-cutover"] != roles["eip-cutover-repair"]


def test_every_statement_allows_named_actions_and_no_statement_is_negated(deployed: Deployed) -> None:
    for role, statement in deployed.statements():
        assert statement["Effect"] == "Allow", role
        if set(listed(statement["Action"])) == USE_KEY:  # as SNS asks it of a publisher
            continue
        assert set(statement) <= {"Effect", "Action", "Resource"}, role
        assert not any("*" in action for action in listed(statement["Action"])), role


def test_a_workflow_may_use_the_key_of_the_topic_through_sns_and_no_other_key(deployed: Deployed) -> None:
    used = {role: statement for role, statement in deployed.statements() if set(listed(statement["Action"])) & USE_KEY}
    (key,) = resources(deployed.template, "AWS::KMS::Key")
    assert set(used) == WORKFLOWS
    for statement in used.values():
        assert statement["Resource"] == deployed.arn({"Ref": key})
        assert statement["Condition"] == {"StringEquals": {"kms:ViaService": f"sns.{REGION}.amazonaws.com"}}


def test_no_role_may_disassociate_a_production_address(deployed: Deployed) -> None:
    production = deployed.configured("the production addresses")
    assert not any(
        found.action == "ec2:DisassociateAddress" and found.resource in {"*", f"{HERE}elastic-ip/*"} | production
        for found in deployed.permissions
    )


def test_each_function_may_write_only_to_its_own_log_group(deployed: Deployed) -> None:
    logs = {
        deployed.called(function): deployed.arn(function["LoggingConfig"]["LogGroup"])
        for function in deployed.of("AWS::Lambda::Function")
    }
    for found in deployed.permissions:
        if found.action.startswith("logs:") and found.role in deployed.functions:
            assert found.resource == logs[found.role]


def test_only_the_lock_table_the_topic_and_the_functions_of_the_stack_and_of_its_hooks_may_be_used(
    deployed: Deployed,
) -> None:
    called = {Permission("run_commands", "lambda:InvokeFunction", FUNCTION)} if deployed.has_releases else set()
    assert called <= deployed.permissions
    for found in deployed.permissions - called:
        service = found.action.partition(":")[0]
        if service in ("dynamodb", "sns", "lambda"):
            kind = {"dynamodb": "DynamoDB::Table", "sns": "SNS::Topic", "lambda": "Lambda::Function"}[service]
            named = re.fullmatch(r"arn:\S+[:/](\w+)(?::\*)?", found.resource)
            assert named, found
            assert deployed.resources[named[1]]["Type"] == f"AWS::{kind}", found


def test_only_the_executions_of_the_two_workflows_may_be_described(deployed: Deployed) -> None:
    asked = {
        (found.role, found.resource) for found in deployed.permissions if found.action == "states:DescribeExecution"
    }
    states = HERE.replace(":ec2:", ":states:")
    asking = WORKFLOWS | {"report_outcome"}
    assert asked == {(role, f"{states}execution:{asked_for}:*") for role in asking for asked_for in WORKFLOWS}


def test_only_templates_of_stacks_in_the_same_account_and_region_may_be_read(deployed: Deployed) -> None:
    read = {found.resource for found in deployed.permissions if found.action.startswith("cloudformation:")}
    assert read == {f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/*"}


def test_only_approvals_of_the_cutover_workflow_may_be_ended(deployed: Deployed) -> None:
    ended = {(found.role, found.resource) for found in deployed.permissions if found.action == "states:SendTaskFailure"}
    own = ("eip-cutover", HERE.replace(":ec2:", ":states:") + "stateMachine:eip-cutover")
    assert ended == ({own} if deployed.has_releases else set())


def test_every_execution_that_may_have_ended_early_is_repaired_but_no_failed_repair(deployed: Deployed) -> None:
    """Otherwise, repairs that fail would start repairs without end."""
    repaired = set()
    for rule in (rule for rule in deployed.of("AWS::Events::Rule") if "RoleArn" in rule["Targets"][0]):
        pattern = rule["EventPattern"]
        assert (rule["State"], pattern["source"]) == ("ENABLED", ["aws.states"])
        assert pattern["detail-type"] == ["Step Functions Execution Status Change"]
        machines = {deployed.arn(arn).rpartition(":")[2] for arn in pattern["detail"]["stateMachineArn"]}
        repaired |= {(machine, status) for machine in machines for status in pattern["detail"]["status"]}
        (target,) = rule["Targets"]
        assert deployed.resources[target["Arn"]["Ref"]]["Properties"]["StateMachineName"] == "eip-cutover-repair"
    of_both = {(machine, status) for machine in WORKFLOWS for status in ("ABORTED", "TIMED_OUT")}
    assert repaired == of_both | {("eip-cutover", "FAILED")}


def test_the_lock_table_is_encrypted_retained_restorable_and_protected_from_deletion(deployed: Deployed) -> None:
    (table,) = resources(deployed.template, "AWS::DynamoDB::Table").values()
    assert table["Properties"]["KeySchema"] == [{"AttributeName": "pair", "KeyType": "HASH"}]
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_topic_is_encrypted_with_its_own_key_and_accepts_only_tls(
    deployed: Deployed,
) -> None:
    (topic,), (policy,) = deployed.of("AWS::SNS::Topic"), deployed.of("AWS::SNS::TopicPolicy")
    ((name, key),) = resources(deployed.template, "AWS::KMS::Key").items()
    assert deployed.arn(topic["KmsMasterKeyId"]) == deployed.arn({"Ref": name})
    assert key["DeletionPolicy"] == "Delete"
    account, alarms = key["Properties"]["KeyPolicy"]["Statement"]
    assert deployed.arn(account["Principal"]["AWS"]) == f"arn:aws:iam::{ACCOUNT}:root"
    assert set(alarms["Action"]) == USE_KEY
    refused, _ = policy["PolicyDocument"]["Statement"]
    assert (refused["Effect"], refused["Action"]) == ("Deny", "sns:Publish")
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_function_that_no_workflow_calls_is_called_only_by_its_own_rule_or_by_a_role_of_the_account(
    deployed: Deployed,
) -> None:
    assert deployed.of("AWS::Lambda::Url") == []
    called = {}
    for permission in deployed.of("AWS::Lambda::Permission"):
        assert (permission["Action"], permission["Principal"]) == ("lambda:InvokeFunction", "events.amazonaws.com")
        rule = deployed.resources[permission["SourceArn"]["Fn::GetAtt"][0]]["Properties"]
        assert [target["Arn"] for target in rule["Targets"]] == [permission["FunctionName"]]
        function = deployed.resources[permission["FunctionName"]["Fn::GetAtt"][0]]["Properties"]
        called[deployed.called(function)] = rule
    assert set(called) == REPORTS | {"measure_gap", STARTER}
