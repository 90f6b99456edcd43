"""The environment variables of the processes of the local AWS: the variables of the local AWS, and not the user's own.

A profile, an endpoint or a proxy from the user's shell would send a call for this machine somewhere else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local.ec2 import ACCESS_KEY, REGION

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def with_users_proxy() -> dict[str, str]:
    """The user's variables without those of AWS, and with this Python's programs first on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    programs = Path(sys.executable).parent
    return kept | {"PATH": f"{programs}{os.pathsep}{kept.get('PATH', os.defpath)}"}


def of_this_machine() -> dict[str, str]:
    """The same without proxies, for processes that connect only to this machine."""
    return {name: value for name, value in with_users_proxy().items() if name.upper() not in PROXIES}


def of_a_client(*, endpoint: str, ec2_endpoint: str, ssm_endpoint: str | None = None) -> dict[str, str]:
    """The variables that make an AWS client use the local AWS, and nothing else."""
    return {
        **({"AWS_ENDPOINT_URL_SSM": ssm_endpoint} if ssm_endpoint else {}),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_EC2": ec2_endpoint,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": ec2_endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_PAGER": "",
    }
