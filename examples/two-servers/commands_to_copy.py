"""Commands for a person to copy. They name the profile and the Region, so that they work in every shell."""

import os
import shlex


def profile() -> str:
    """The setting of the profile before a command, if the environment has one."""
    name = os.environ.get("AWS_PROFILE")
    return f"AWS_PROFILE={shlex.quote(name)} " if name else ""


def here(region: str, command: str) -> str:
    """A command of this project, in this account and Region."""
    return f"{profile()}AWS_REGION={region} {command}"


def aws(region: str, operation: str, options: str) -> str:
    """A command of the AWS CLI, such as `ec2 start-instances`, in this account and Region."""
    return f"{profile()}aws {operation} --region {region} {options}"
