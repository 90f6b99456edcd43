"""The one asset of the functions: `lambdas/`, its dependencies, and the configured pairs."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import BundlingOptions, DockerImage, ILocalBundling, aws_lambda as lambda_

from stacks.configuration.pairs import Pair

PROJECT = Path(__file__).parent.parent.parent
SOURCE = PROJECT / "lambdas"
REQUIREMENTS = SOURCE / "requirements.txt"
FILES = [*sorted(SOURCE.rglob("*.py")), *SOURCE.rglob("*.sh")]
DEPENDENCIES = PROJECT / ".local" / "dependencies"
# The functions run on Python 3.13 on arm64; `pip` must not install for the machine that it runs on.
FOR_LAMBDA = ("--platform", "manylinux2014_aarch64", "--python-version", "3.13", "--only-binary", ":all:")
# What no function imports of the requirements, as globs. `tests/stacks/test_bundle.py` runs all handlers from the rest.
UNUSED = (
    "*.dist-info",
    "bin",
    "yaml/*.so",  # libyaml: large, and PyYAML works without it
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/[!_jt]*",  # except __init__.py, jmespath_utils and typing
)


def lambda_code(pairs: Mapping[str, Pair]) -> lambda_.Code:
    """The asset, bundled without Docker, and bundled again only if something in it has changed."""
    configuration = json.dumps({name: pair.as_json() for name, pair in pairs.items()}, indent=1)
    content = [configuration, *FOR_LAMBDA, *UNUSED, *(path.read_text() for path in (*FILES, REQUIREMENTS))]
    return lambda_.Code.from_asset(
        str(SOURCE),
        asset_hash=hashlib.sha256("\0".join(content).encode()).hexdigest(),
        bundling=BundlingOptions(image=DockerImage.from_registry("never-used"), local=_Bundling(configuration)),
    )


@jsii.implements(ILocalBundling)
class _Bundling:
    def __init__(self, configuration: str) -> None:
        self._configuration = configuration

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        """Fills the asset; True means that the CDK needs no Docker. A failure is raised, never passed to Docker."""
        output = Path(output_dir)
        shutil.copytree(dependencies(), output, dirs_exist_ok=True)
        for file in FILES:
            copied = output / file.relative_to(SOURCE)
            copied.parent.mkdir(exist_ok=True)
            shutil.copy(file, copied)
        (output / "pairs.json").write_text(self._configuration)
        return True


def install_for_lambda(target: Path, requirements: Path = REQUIREMENTS) -> None:
    """Installs what the lock file names, without UNUSED. Fails if a package's hash is missing there, or differs."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    locked = ["--require-hashes", "--requirement", str(requirements)]
    subprocess.run([*pip, *locked, *FOR_LAMBDA, "--target", str(target)], check=True)  # noqa: S603  # our own words
    for unused in [path for pattern in UNUSED for path in target.glob(pattern)]:
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink()


def dependencies(kept: Path = DEPENDENCIES, install: Callable[[Path], object] = install_for_lambda) -> Path:
    """The installed requirements of the functions without UNUSED, kept from one synthesis to the next."""
    folder = kept / hashlib.sha256(REQUIREMENTS.read_bytes() + repr((FOR_LAMBDA, UNUSED)).encode()).hexdigest()[:16]
    if not folder.exists():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as temporary:
            installed = Path(temporary, "installed")
            install(installed)
            with contextlib.suppress(OSError):  # a synthesis at the same time was first; its result is the same
                installed.rename(folder)
    return folder
