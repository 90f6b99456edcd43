"""The corrections of ministack that need nothing else of this run. `docs/emulators.md` lists what they correct."""

from __future__ import annotations

from local.cloudformation_documents import add_documents
from local.cloudformation_ec2 import use_local_ec2
from local.histories import correct_histories
from local.physical_names import correct_physical_names
from local.python_functions import correct_python_functions
from local.succeed_states import correct_succeed_states
from local.task_tokens import correct_tokens


def correct_ministack() -> None:
    """Correct ministack in this process, before it starts."""
    from ministack.core import lambda_runtime  # noqa: PLC0415  # reads the variables of the run
    from ministack.services import cloudformation, lambda_svc, stepfunctions  # noqa: PLC0415

    correct_histories(stepfunctions)
    correct_tokens(stepfunctions)
    correct_succeed_states(stepfunctions)
    correct_python_functions(lambda_svc, lambda_runtime)
    correct_physical_names(cloudformation)
    add_documents(cloudformation)
    use_local_ec2(cloudformation.provisioners, cloudformation.stacks)
