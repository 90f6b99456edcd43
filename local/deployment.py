"""The project's own stack, deployed to the local AWS by the real CDK.

`app.py` is synthesized and deployed unchanged, with the local pair as context; the emulator itself is corrected
(`docs/emulators.md`). A deployment needs two resources of the CDK's bootstrap stack. They are made directly, because
`cdk bootstrap` takes 10 s.
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
