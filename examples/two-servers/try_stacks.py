"""The two stacks of `make try`: as CloudFormation describes them, deployed by the CDK CLI, and deleted."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.account import Account, AwsError, Problem
from client.screen import plain
from this_machine import ThisMachine

TEST_PAIR = "eip-cutover:test-pair"
SERVERS = "TwoServers"
NAME = "eip-cutover-try"
CUTOVER = "EipCutoverTry"  # the stack of this name
STACKS = (CUTOVER, SERVERS)  # in the order in which they can be deleted
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CDK = ROOT / "node_modules" / ".bin" / "cdk"
SETTLED_SECONDS = 1800
EMPTY = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class Stack:
    """A stack. Without an `id` it does not exist."""

    name: str
    id: str = ""
    status: str = ""
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        return bool(self.id)

    @property
    def is_ours(self) -> bool:
        return self.tags.get(TEST_PAIR) == "true"

    @property
    def is_empty(self) -> bool:
        """It has a change set that was not executed, and no resources. It need not have the tags of that change set yet
        (docs/emulators.md). The CDK CLI creates it as if it did not exist."""
        return self.status == EMPTY

    @property
    def is_foreign(self) -> bool:
        """`make try` did not make it."""
        return self.exists and not self.is_ours and not self.is_empty

    @property
    def is_removable(self) -> bool:
        """`make try` made it, or it has nothing that anyone could lose."""
        return self.exists and (self.is_ours or self.is_empty)

    @property
    def has_servers(self) -> bool:
        """It was created, and not rolled back."""
        return bool(self.outputs)

    @property
    def is_busy(self) -> bool:
        """CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and not self.is_empty

    @property
    def is_broken(self) -> bool:
        """No update can succeed. The CDK CLI replaces a stack whose creation was rolled back."""
        return self.status.endswith("_FAILED") and self.status != "ROLLBACK_FAILED"


def described(account: Account, name: str, *, stack_id: str = "") -> Stack:
    """The stack as it is now. By its id, a deleted stack is still known, and does not exist."""
    try:
        (shown,) = account.call("cloudformation", "describe_stacks", StackName=stack_id or name)["Stacks"]
    except AwsError as error:
        if error.code != "ValidationError":
            raise
        return Stack(name)
    if shown["StackStatus"] == "DELETE_COMPLETE":
        return Stack(name)
    tags = {tag["Key"]: tag["Value"] for tag in shown.get("Tags", [])}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in shown.get("Outputs", [])}
    return Stack(name, shown["StackId"], shown["StackStatus"], shown.get("StackStatusReason", ""), tags, outputs)


def not_ours(stack: Stack) -> str:
    return f"The stack {stack.name} exists, and `make try` did not make it: it lacks the tag {TEST_PAIR}=true."


def resources(account: Account, stack: Stack) -> Iterator[dict[str, Any]]:
    """The resources of a stack that are not deleted, as ListStackResources shows them."""
    if stack.exists:
        for page in account.pages("cloudformation", "list_stack_resources", StackName=stack.id):
            for resource in page["StackResourceSummaries"]:
                if resource["ResourceStatus"] != "DELETE_COMPLETE":
                    yield resource


def ids(account: Account, stack: Stack, kind: str) -> list[str]:
    """The physical ids of a stack's resources of a type."""
    made = (each for each in resources(account, stack) if each["ResourceType"] == kind)
    return [each["PhysicalResourceId"] for each in made if each.get("PhysicalResourceId")]


@dataclass(frozen=True)
class App:
    """A CDK app, and what it is given. It runs in this folder, whose cdk.json is not the user's."""

    machine: ThisMachine
    account: Account
    name: str
    file: Path
    context: Mapping[str, str]

    def deploy(self) -> Stack:
        """Run `cdk deploy`. Returns the stack. Raises Problem."""
        self._cdk("deploy", "--tags", f"{TEST_PAIR}=true", "--require-approval", "never")
        return described(self.account, self.name)

    def replaces(self, kinds: Collection[str]) -> bool:
        """Will `deploy` change resources of these types? Their tags do not count. Synthesizes the stack. Raises
        Problem."""
        self._cdk("synth", "--quiet")
        template = json.loads(self.machine.read(self._output / f"{self.name}.template.json"))
        deployed = self.account.call("cloudformation", "get_template", StackName=self.name)["TemplateBody"]
        # A template that is not JSON is not one that the CDK deployed.
        return not isinstance(deployed, Mapping) or properties(deployed, kinds) != properties(template, kinds)

    @property
    def _output(self) -> Path:
        return ROOT / "cdk.out" / self.name

    def _cdk(self, verb: str, *options: str) -> None:
        command = [str(CDK), verb, self.name, "--app", shlex.join([self.machine.python, str(self.file)])]
        command += ["--output", str(self._output), *options, "--no-notices"]
        for key, value in self.context.items():
            command += ["--context", f"{key}={value}"]
        region = {"AWS_REGION": self.account.region, "AWS_DEFAULT_REGION": self.account.region}
        if code := self.machine.run(command, HERE, region):
            raise Problem(f"`cdk {verb} {self.name}` failed with exit code {code}. Its output above says why.")


def properties(template: Mapping[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """The properties of a template's resources of these types, as text: GetTemplate shows `?` for what is not ASCII."""
    return {
        name: json.dumps({**each.get("Properties", {}), "Tags": []}, ensure_ascii=False, sort_keys=True).encode(
            "ascii", "replace"
        )
        for name, each in template.get("Resources", {}).items()
        if each["Type"] in kinds
    }


def settle(machine: ThisMachine, account: Account, stack: Stack, *, gone: bool = False) -> Stack:
    """Wait until CloudFormation does not work on the stack; or, if it should be `gone`, until it is, or cannot be
    deleted. Raises Problem."""
    last = stack

    def busy() -> str:
        nonlocal last
        last = described(account, stack.name, stack_id=stack.id)
        # What is shown just after a call may be the state before it.
        is_over = not last.exists or last.status == "DELETE_FAILED" if gone else not last.is_busy
        return "" if is_over else f"{stack.name}: {last.status}"

    if state := machine.wait(busy, seconds=SETTLED_SECONDS):
        raise Problem(f"CloudFormation is still at work after {SETTLED_SECONDS // 60} minutes. {state}")
    return last


def delete(machine: ThisMachine, account: Account, stack: Stack) -> None:
    """Delete a stack, which needs no app and no synthesis, and wait until it is deleted. Raises Problem."""
    account.call("cloudformation", "delete_stack", StackName=stack.id)
    left = settle(machine, account, stack, gone=True)
    if left.exists:
        failed = [each for each in resources(account, left) if each["ResourceStatus"] == "DELETE_FAILED"]
        why = "".join(
            f"\n  {each['LogicalResourceId']} ({each['ResourceType']}): "
            f"{plain(each.get('ResourceStatusReason', 'CloudFormation does not say why'), 400)}"
            for each in failed
        )
        raise Problem(f"CloudFormation could not delete the stack {stack.name} ({left.status}).{why}")
