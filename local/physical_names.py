"""The names that ministack's CloudFormation generates: others in every stack, as on AWS.

ministack makes them from the names of the stack and of the resource alone. A stack that is deleted and made again would
then overwrite the resources that it has retained.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

SUFFIX = 13


def correct_physical_names(cloudformation: Any) -> None:
    """Correct this package of ministack, in this process."""
    provisioners = cloudformation.provisioners
    physical_name = provisioners._physical_name

    def name_of(stack_name: str, logical_id: str, **options: Any) -> str:
        name: str = physical_name(stack_name, logical_id, **options)
        stack = cloudformation._stacks.get(stack_name)
        if stack is None:
            return name
        suffix = sha256(f"{stack['StackId']} {name}".encode()).hexdigest()[:SUFFIX]
        return name[:-SUFFIX] + (suffix if options.get("lowercase") else suffix.upper())

    provisioners._physical_name = name_of
