"""Functions: the cold start of each, compared with a bare boto3 client, and the size of the asset.

    python -m benchmarks.functions

Every module of `lambdas/` with a handler is imported from the real asset in a new Python process, in turn with the
others, so that other load on this machine slows all of them. The start of Python itself is not counted. boto3 comes
from this environment, as it comes from the runtime in Lambda.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.fresh_python import Cost, cost_of
from benchmarks.report import Section
from benchmarks.synthesized import asset_of, print_alone
from stacks.functions.bundle import SOURCE

ROUNDS = 5
LIMIT = 1.25
MEGABYTE = 1_000_000
EMPTY, BARE = "an empty program", "a bare EC2 client"


def programs() -> dict[str, str]:
    """The programs to run, by name."""
    handlers = sorted(path.stem for path in SOURCE.glob("*.py"))
    return {
        EMPTY: "pass",
        BARE: 'import boto3; boto3.client("ec2")',
        **{module: f"import {module}" for module in handlers},
    }


def medians(asset: Path) -> Mapping[str, Cost]:
    """The cost of each program, without the cost of Python itself."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "eip-cutover",
        "POWERTOOLS_METRICS_NAMESPACE": "EipCutover",
    }
    every = programs()
    for program in every.values():
        cost_of(program, asset, environment)  # compiles
    rounds = [{name: cost_of(program, asset, environment) for name, program in every.items()} for _ in range(ROUNDS)]
    typical = {
        name: Cost(median(each[name].seconds for each in rounds), median(each[name].megabytes for each in rounds))
        for name in every
    }
    python = typical.pop(EMPTY)
    return {
        name: Cost(cost.seconds - python.seconds, cost.megabytes - python.megabytes) for name, cost in typical.items()
    }


def sizes(asset: Path, folder: Path) -> tuple[float, float]:
    """The megabytes of the asset, zipped and unzipped."""
    zipped = Path(shutil.make_archive(str(folder / "uploaded"), "zip", asset)).stat().st_size
    return zipped / MEGABYTE, sum(path.stat().st_size for path in asset.rglob("*") if path.is_file()) / MEGABYTE


def measured(assembly: Path) -> Section:
    """Import time, memory and size, each with its limit, of the functions in a cloud assembly."""
    asset = asset_of(assembly)
    with tempfile.TemporaryDirectory() as name:
        zipped, unzipped = sizes(asset, Path(name))
    handlers = dict(medians(asset))
    bare = handlers.pop(BARE)
    rows = [
        f"| `{module}` | {1000 * cost.seconds:.0f} | {cost.seconds / bare.seconds:.2f} | {cost.megabytes:.0f} "
        f"| {cost.megabytes / bare.megabytes:.2f} |"
        for module, cost in handlers.items()
    ]
    worst = max(max(cost.seconds / bare.seconds, cost.megabytes / bare.megabytes) for cost in handlers.values())
    lines = [
        "The cold start: importing a handler from the asset, compared with `import boto3` and "
        f'`boto3.client("ec2")` (1.00). Medians of {ROUNDS} runs in turn, without the start of Python itself. The '
        f"limit is {LIMIT}; the most is **{worst:.2f}**.",
        "",
        "| function | import, ms | times bare | memory, MB | times bare |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| {BARE} | {1000 * bare.seconds:.0f} | 1.00 | {bare.megabytes:.0f} | 1.00 |",
        *rows,
        "",
        f"The asset is **{zipped:.2f} MB** as it is uploaded and {unzipped:.2f} MB unzipped; the limit is 1 MB. "
        "`health_check` and `report_locks` make their AWS clients in their first call, if they need any.",
    ]
    return Section("Functions", "\n".join(lines))


if __name__ == "__main__":
    print_alone(measured)
