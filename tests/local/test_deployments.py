"""CloudFormation in ministack: documents of Systems Manager, and the project's own app, deployed by the CDK's CLI."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.deployment import CDK, ROOT, Synthesis, bootstrap, outputs
from local.emulator import Emulator
from local.environment import of_a_client, of_this_machine
from local.systems_manager_server import SystemsManagerServer


@dataclass(frozen=True)
class Aws:
    """ministack and the local Systems Manager, without servers."""

    emulator: Emulator
    systems_manager: SystemsManagerServer

    @property
    def cloudformation(self) -> Any:
        return self.emulator.client("cloudformation")

    def apply(self, resources: Mapping[str, object], *, stack: str, action: str = "create") -> str:
        """Create or update a stack. Returns why it failed, nothing if it did not."""
        getattr(self.cloudformation, f"{action}_stack")(
            StackName=stack, TemplateBody=json.dumps({"Resources": resources})
        )
        try:
            self.wait(stack, action)
        except WaiterError:
            events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [each["ResourceStatusReason"] for each in events if each["ResourceStatus"].endswith("_FAILED")]
            return str(reasons[0])
        return ""

    def delete(self, stack: str) -> None:
        self.cloudformation.delete_stack(StackName=stack)
        self.wait(stack, "delete")

    def wait(self, stack: str, action: str) -> None:
        waiter = self.cloudformation.get_waiter(f"stack_{action}_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})

    def resources(self, stack: str, kind: str) -> list[str]:
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        listed = [each for page in pages for each in page["StackResourceSummaries"]]
        return [each["PhysicalResourceId"] for each in listed if each["ResourceType"] == kind]

    @property
    def documents(self) -> dict[str, str]:
        return self.systems_manager.core.documents


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    folder = tmp_path_factory.mktemp("aws")
    server = SystemsManagerServer(
        state_of=lambda _: None, machines=dict, environment=dict, folder=folder, other=lambda: emulator.address
    )
    ec2 = "http://127.0.0.1:1"
    with server, Emulator(ec2_endpoint=ec2, ssm_endpoint=server.endpoint, folder=folder) as emulator:
        emulator.wait_until_ready()
        yield Aws(emulator, server)


def document(says: str, **properties: object) -> dict[str, Any]:
    step = {"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": [f"echo {says}"]}}
    content = {"schemaVersion": "2.2", "mainSteps": [step]}
    return {"Says": {"Type": "AWS::SSM::Document", "Properties": {"Content": content, **properties}}}


def test_a_document_is_created_replaced_and_deleted_with_its_stack(aws: Aws) -> None:
    assert aws.apply(document("one"), stack="documents") == ""
    assert aws.resources("documents", "AWS::SSM::Document") == [*aws.documents]
    (first,) = aws.documents
    assert (first.startswith("documents-Says-"), "echo one" in aws.documents[first]) == (True, True)
    assert aws.apply(document("two"), stack="documents", action="update") == ""
    (second,) = aws.documents
    assert (second == first, "echo two" in aws.documents[second]) == (False, True)
    aws.delete("documents")
    assert aws.documents == {}


def test_a_document_whose_name_the_template_gives_is_not_replaced(aws: Aws) -> None:
    assert aws.apply(document("one", Name="mine.1"), stack="named") == ""
    reason = aws.apply(document("two", Name="mine.1"), stack="named", action="update")
    assert "cannot update a stack when a custom-named resource requires replacing" in reason
    assert "echo one" in aws.documents["mine.1"]
    assert aws.apply(document("two", Name="mine.2"), stack="named", action="update") == ""
    assert [*aws.documents] == ["mine.2"]
    reason = aws.apply(document("other", Name="mine.2"), stack="other")
    assert "DocumentAlreadyExists" in reason
    assert "echo two" in aws.documents["mine.2"]
    aws.delete("named")


def test_a_document_that_someone_has_deleted_does_not_keep_its_stack(aws: Aws) -> None:
    assert aws.apply(document("one"), stack="without") == ""
    ssm = aws.emulator.client("ssm", aws.systems_manager.endpoint)
    ssm.delete_document(Name=aws.resources("without", "AWS::SSM::Document")[0])
    aws.delete("without")
    with pytest.raises(ssm.exceptions.InvalidDocument):
        ssm.delete_document(Name="of-nobody")


def cdk(aws: Aws, folder: Path, *words: str) -> str:
    """What a person types, who has the variables of the local AWS."""
    endpoints = of_a_client(
        endpoint=aws.emulator.endpoint, ec2_endpoint="http://127.0.0.1:1", ssm_endpoint=aws.systems_manager.endpoint
    )
    variables = of_this_machine() | endpoints | {"CI": "true", "CDK_HOME": str(folder)}
    done = subprocess.run(
        [CDK, *words, "--app", "cdk.out"], cwd=folder, env=variables, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def change(assembly: Path, pattern: str, text: str) -> None:
    """Change the template, and its name in the bucket of the assets, as another synthesis would."""
    name = re.findall(r"(\w{64})\.json", (assembly / "manifest.json").read_text())[0]
    for file in assembly.glob("*.json"):
        file.write_text(re.sub(pattern, text, file.read_text()).replace(name, name[::-1]))


def test_the_cli_deploys_updates_and_destroys_the_app_of_the_project(aws: Aws, tmp_path: Path) -> None:
    bootstrap(aws.emulator)
    servers = {"bittybot": "i-0123456789abcdef0", "tao": "i-0123456789abcdef1"}
    pair = {
        "production": "eipalloc-0123456789abcdef0", "staging": "eipalloc-0123456789abcdef1", "servers": servers,
        "healthCheck": {"protocol": "TCP", "port": 80}, "deploy": {"command": "deploy", "timeoutSeconds": 60},
    }  # fmt: skip
    synthesis = Synthesis({"pairs": {"web": pair}, "name": "eip-cutover-try"}, folder=tmp_path, app=ROOT / "app.py")
    with synthesis.process:
        assembly = synthesis.finish()
    cdk(aws, tmp_path, "deploy", "--require-approval", "never")
    stack = "EipCutoverTry"
    table = outputs(aws.emulator, stack)["LockTableName"]
    functions, dynamodb = aws.emulator.client("lambda"), aws.emulator.client("dynamodb")
    names = aws.resources(stack, "AWS::Lambda::Function")
    assert [*aws.documents] == aws.resources(stack, "AWS::SSM::Document")

    change(assembly, r'"MemorySize": \d+', '"MemorySize": 1024')
    cdk(aws, tmp_path, "deploy", "--require-approval", "never")
    assert aws.resources(stack, "AWS::Lambda::Function") == names
    assert {functions.get_function_configuration(FunctionName=name)["MemorySize"] for name in names} == {1024}

    cdk(aws, tmp_path, "destroy", "--force")
    assert aws.documents == {}
    with pytest.raises(ClientError, match="does not exist"):
        aws.cloudformation.describe_stacks(StackName=stack)
    with pytest.raises(ClientError, match="protected"):
        dynamodb.delete_table(TableName=table)

    cdk(aws, tmp_path, "deploy", "--require-approval", "never")
    assert outputs(aws.emulator, stack)["LockTableName"] != table
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
