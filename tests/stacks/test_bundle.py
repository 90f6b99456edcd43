"""The asset has what the functions need, and little else. Each function runs from the asset with only boto3."""

import importlib
import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stacks.functions.bundle import SOURCE, dependencies, install_for_lambda
from tests.unit.wheels import only_from, wheel

HANDLERS = sorted(path.stem for path in SOURCE.glob("*.py"))
# boto3 and what it needs: Lambda's Python has them.
RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
# An event without a key that is needed is the shortest way through Powertools' decorators. Raises what is neither.
CALLED = """
import sys
from importlib import import_module
from types import SimpleNamespace
sys.path[:0] = sys.argv[1:3]
context = SimpleNamespace(function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1")
from domain.events import InvalidEvent
for name in sys.argv[3:]:
    module = import_module(name)
    try:
        module.handler({}, context)
    except (KeyError, InvalidEvent):
        module.logger.exception("As expected.")
"""
METRICS = """
import sys
sys.path[:0] = sys.argv[1:3]
from aws_lambda_powertools.metrics import MetricUnit
from aws.metrics import Metric, emit
emit([Metric("LockAge", MetricUnit.Seconds, (1.0,), ({}, {"pair": "web"}))])
"""
DOCUMENT = """
import sys
sys.path[:0] = sys.argv[1:3]
from domain.pair import Pair
from domain.release_commands import document
print(document(Pair("web", "", "", (), (), deploy={"command": "true", "timeoutSeconds": 30})).content)
"""
TEMPLATE = """
import sys
sys.path[:0] = sys.argv[1:3]
from aws.stack_templates import moving_resources
assert "yaml" not in sys.modules
print(*moving_resources("Resources: {Web: {Type: AWS::EC2::EIP, Properties: {InstanceId: !Ref Id}}}", {"Web"}))
"""


@pytest.fixture(scope="module")
def asset(template_folder: Path) -> Path:
    (found,) = (folder for folder in template_folder.glob("asset.*") if (folder / "pairs.json").exists())
    return found


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        file = Path(str(importlib.import_module(name).__file__))
        installed = file.parent if file.name == "__init__.py" else file
        (folder / installed.name).symlink_to(installed)
    return folder


def run(program: str, asset: Path, runtime: Path, *arguments: str) -> str:
    """What a program printed, in a Python that has the asset, boto3 and nothing else."""
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_METRICS_NAMESPACE": "EipCutover"}
    command = [sys.executable, "-I", "-S", "-B", "-c", program, str(asset), str(runtime), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_handler_runs_from_the_asset(asset: Path, runtime: Path) -> None:
    run(CALLED, asset, runtime, *HANDLERS)


def test_a_function_in_the_asset_emits_its_metrics(asset: Path, runtime: Path) -> None:
    assert '"LockAge"' in run(METRICS, asset, runtime)


def test_a_function_in_the_asset_computes_the_document_of_a_pair(asset: Path, runtime: Path) -> None:
    assert "deploy) /bin/sh -c true ;;" in run(DOCUMENT, asset, runtime)


def test_a_function_in_the_asset_reads_yaml_and_imports_the_parser_only_then(asset: Path, runtime: Path) -> None:
    assert run(TEMPLATE, asset, runtime) == "Web\n"


def test_the_asset_has_the_configured_pairs(asset: Path) -> None:
    assert list(json.loads((asset / "pairs.json").read_text())) == ["web"]


def test_the_uploaded_asset_is_smaller_than_a_megabyte(asset: Path, tmp_path: Path) -> None:
    assert Path(shutil.make_archive(str(tmp_path / "asset"), "zip", asset)).stat().st_size < 1_000_000


def test_syntheses_at_once_install_the_dependencies_without_a_conflict(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    def install(target: Path) -> None:
        target.mkdir()
        (target / "package.py").touch()
        both.wait()

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: dependencies(tmp_path, install), range(2))
    assert (
        first == second == dependencies(tmp_path, install=lambda _: pytest.fail("installed again"))
    )  # the third installs nothing
    assert [path.name for path in first.iterdir()] == ["package.py"]
    assert list(tmp_path.iterdir()) == [first]


def test_only_a_package_with_its_hash_in_the_lock_file_gets_into_the_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in only_from(tmp_path).items():
        monkeypatch.setenv(name, value)
    lock = tmp_path / "requirements.txt"
    lock.write_text(wheel(tmp_path, "first"))
    install_for_lambda(tmp_path / "asset", lock)
    assert (tmp_path / "asset" / "first.py").exists()
    lock.write_text("first==1\n")
    with pytest.raises(subprocess.CalledProcessError):
        install_for_lambda(tmp_path / "other", lock)
    assert not (tmp_path / "other" / "first.py").exists()
