"""All tiers share this: no test reaches the real AWS, and the template is synthesized once."""

import gc
import json
import os
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from local.run_folder import LOCAL
from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack

# The suite of the contract talks to the AWS of the environment, so it runs by itself: `make acceptance`.
collect_ignore = ["acceptance"]
# Before any handler is imported: their clients are made at import, as in Lambda.
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",  # noqa: S106  # a word, not a secret
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    POWERTOOLS_SERVICE_NAME="eip-cutover",
    POWERTOOLS_METRICS_NAMESPACE="EipCutover",
)
# And before matplotlib is, which keeps its cache of fonts there.
os.environ["MPLCONFIGDIR"] = str(LOCAL / "matplotlib")
os.environ.pop("AWS_PROFILE", None)


@pytest.fixture(scope="session")
def template_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of the shipped configuration: template and asset."""
    folder = tmp_path_factory.mktemp("cdk.out")
    context = json.loads((Path(__file__).parent.parent / "cdk.json").read_text())["context"]
    app = cdk.App(context=context, outdir=str(folder))
    CutoverStack(app, "EipCutover", configured(context.get))
    app.synth()
    return folder


@pytest.fixture(scope="session")
def template(template_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((template_folder / "EipCutover.template.json").read_text())
    return found


def pytest_collection_finish() -> None:
    """What the collection made stays. To look through it for garbage again and again takes 6 % of a run."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
