"""The project's own stack, deployed to the local AWS by the real CDK.

`app.py` is synthesized unchanged, with the local pair as context. `make_runnable` corrects the assembly where the
emulator differs from AWS, so that every difference is visible in one place, and `cdk deploy` deploys the result. A
deployment needs two resources of the CDK's bootstrap stack. They are made directly, because `cdk bootstrap` takes 10 s.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local import environment
from local.child_process import ChildProcess
from local.ec2 import REGION
from local.emulator import ACCOUNT, Emulator

ROOT = Path(__file__).resolve().parent.parent
CDK = ROOT / "node_modules" / ".bin" / "cdk"
BOOTSTRAP_QUALIFIER = "hnb659fds"  # CDK's default
BOOTSTRAP_VERSION = "30"
RUNTIME_BOOTSTRAP = """#!/bin/sh
# The runtime client that AWS's Python runtime runs.
exec python -m awslambdaric "$_HANDLER"
"""
# JSON inside JSON, as in a template.
SUCCEED_AS_PASS = (r"\"Type\":\"Succeed\"", r"\"Type\":\"Pass\",\"End\":true")


class Synthesis:
    """The synthesis of `app.py` into `folder`/cdk.out, in its own process, because it takes seconds.

    `context` is added to that of cdk.json.
    """

    def __init__(self, context: Mapping[str, object], *, folder: Path, app: Path) -> None:
        self.assembly = folder / "cdk.out"
        self._log = folder / "cdk-synth.log"
        shipped = json.loads((ROOT / "cdk.json").read_text()).get("context", {})
        # The user's own environment, because bundling the dependencies may need the user's proxy and package index.
        variables = {
            "CDK_OUTDIR": str(self.assembly),
            "CDK_CONTEXT_JSON": json.dumps(shipped | context),
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        }
        with self._log.open("wb") as log:
            self.process = ChildProcess(
                [sys.executable, app],
                env=environment.with_users_proxy() | variables,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def finish(self) -> Path:
        """Wait for the assembly. Returns its folder. Raises RuntimeError with the app's output if it failed."""
        if self.process.wait() != 0:
            raise RuntimeError(f"the CDK app failed:\n{self._log.read_text()[-4000:]}")
        return self.assembly


def make_runnable(assembly: Path) -> dict[str, str]:
    """Correct the assembly where ministack differs from AWS (`docs/emulators.md`).

    Its Python runtime reports every exception as `Runtime.HandlerError`, so Retry and Catch by name would never match.
    A custom runtime keeps the names and stays warm. It runs the same client as AWS's Python runtime.

    ministack's Succeed state ignores `Output`. A Pass state that ends the execution means the same and keeps it.

    Its CloudFormation has no documents of Systems Manager. They are taken out; returns their contents, by their names.
    """
    documents: dict[str, str] = {}
    for path in assembly.glob("*.template.json"):
        template = json.loads(path.read_text().replace(*SUCCEED_AS_PASS))
        documents |= _take_documents(template)
        for resource in template.get("Resources", {}).values():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::Lambda::Function" and properties["Runtime"].startswith("python"):
                properties["Runtime"] = "provided.al2023"
        path.write_text(json.dumps(template))
    for path in assembly.glob("*.assets.json"):
        for file in json.loads(path.read_text())["files"].values():
            if file["source"].get("packaging") == "zip":
                runtime = assembly / file["source"]["path"] / "bootstrap"
                runtime.write_text(RUNTIME_BOOTSTRAP)
                runtime.chmod(0o755)
    return documents


def _take_documents(template: dict[str, Any]) -> dict[str, str]:
    resources = template.get("Resources", {})
    taken = {key for key, resource in resources.items() if resource["Type"] == "AWS::SSM::Document"}
    documents = [resources.pop(key)["Properties"] for key in taken]
    for resource in resources.values():
        if "DependsOn" in resource:
            needed = [resource["DependsOn"]] if isinstance(resource["DependsOn"], str) else resource["DependsOn"]
            resource["DependsOn"] = [key for key in needed if key not in taken]
    return {document["Name"]: document["Content"] for document in documents}


def bootstrap(aws: Emulator) -> None:
    """Make the two resources of the CDK's bootstrap stack that a deployment needs: asset bucket, version parameter."""
    aws.client("s3").create_bucket(Bucket=f"cdk-{BOOTSTRAP_QUALIFIER}-assets-{ACCOUNT}-{REGION}")
    aws.client("ssm").put_parameter(
        Name=f"/cdk-bootstrap/{BOOTSTRAP_QUALIFIER}/version", Value=BOOTSTRAP_VERSION, Type="String"
    )


class Deployment:
    """`cdk deploy` of a stack of an assembly, in a process of its own."""

    def __init__(self, assembly: Path, *, stack: str, client_environment: Mapping[str, str], folder: Path) -> None:
        if not CDK.exists():
            raise FileNotFoundError(f"{CDK.relative_to(ROOT)} is missing: `npm ci` installs the CDK CLI")
        self._log = folder / "cdk-deploy.log"
        quiet = {
            "CI": "true",
            "CDK_HOME": str(folder / "cdk-home"),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "NO_COLOR": "1",
        }
        with self._log.open("wb") as log:
            self.process = ChildProcess(
                # The CLI polls a change set every five seconds; the direct method needs none.
                [CDK, "deploy", stack, "--app", assembly, "--method", "direct", "--require-approval", "never",
                 "--no-notices", "--no-version-reporting"],
                env={**environment.of_this_machine(), **client_environment, **quiet},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def finish(self) -> None:
        """Wait until the stack is deployed. Raises RuntimeError with the CLI's output if it failed."""
        if self.process.wait() != 0:
            raise RuntimeError(f"cdk deploy failed:\n{self._log.read_text()[-4000:]}")


def outputs(aws: Emulator, stack: str) -> dict[str, str]:
    """The outputs of a deployed stack."""
    deployed: Any = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in deployed["Outputs"]}
