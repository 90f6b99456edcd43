"""How tests run the client."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local.aws import LocalAws

PROJECT = Path(__file__).parents[3]
CLIENT = [sys.executable, str(PROJECT / "cutover.py")]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(aws: LocalAws, **more: str | None) -> dict[str, str]:
    variables = {"PATH": os.environ["PATH"], **aws.environment, **more}
    return {name: value for name, value in variables.items() if value is not None}
