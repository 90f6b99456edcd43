"""The JSONata of the workflow: what several states say, said once.

The workflow's variables:

- `$plan`: what `DescribeAddresses` returned (`Plan.to_json` in `lambdas/domain.py`)
- `$production`, `$staging`: the addresses as they stand now, kept up with every change
- `$changed`: whether this execution has begun to change anything
- `$outcome`, `$cause`: how the execution ends: an outcome or an error of the contract; an error's cause
- `$holder`: the lock's item, while another execution holds it
- `$interrupted`: the server that a dead execution was making live, once its lock was taken over
"""

from typing import Any

REQUEST = "{% $states.context.Execution.Input %}"
EXECUTION = "{% $states.context.Execution.Id %}"
EXECUTION_NAME = "{% $states.context.Execution.Name %}"
PAYLOAD = "{% $states.result.Payload %}"

# Lambda puts a JSON object with `errorMessage` into the cause; Step Functions' own causes are plain text.
MESSAGE = (
    '$contains($states.errorOutput.Cause, "errorMessage")'
    ' and $substring($states.errorOutput.Cause, 0, 1) = "{"'
    " ? $parse($states.errorOutput.Cause).errorMessage : $states.errorOutput.Cause"
)
WHY = f'$states.errorOutput.Error & ": " & ({MESSAGE})'
# An error without a cause (`States.Timeout`) has none to read.
CAUGHT = f"($exists($states.errorOutput.Cause) ? ({WHY}) : $states.errorOutput.Error)"

REFUSALS = ("AddressMoved", "InvalidRequest", "PreflightFailed", "StagingUnhealthy")


def jsonata(expression: str) -> str:
    return f"{{% {expression} %}}"


def refused() -> dict[str, Any]:
    """Variables for a failure before the first change: an error of ours says its own name, all else is a preflight's."""
    ours = ", ".join(f'"{name}"' for name in REFUSALS)
    return {
        "outcome": jsonata(f'$states.errorOutput.Error in [{ours}] ? $states.errorOutput.Error : "PreflightFailed"'),
        "cause": jsonata(f"$states.errorOutput.Error in [{ours}] ? ({MESSAGE}) : {CAUGHT}"),
    }


def failed() -> dict[str, Any]:
    """Variables for the first failure after a change began: it is told in the cause of what the rollback comes to."""
    return {
        "changed": True,
        "cause": jsonata(f'$states.context.State.Name & " failed with " & {CAUGHT}'),
    }


# What an execution that succeeds returns, and what is notified of it.
RESULT = (
    '{"outcome": $outcome, "pair": $plan.pair, "production": $production, "staging": $staging,'
    ' "previous": {"production": $plan.production, "staging": $plan.staging}}'
)
DRY_RUN_RESULT = f'$merge([{RESULT}, {{"plan": {{"reason": $plan.reason, "steps": $plan.steps}}}}])'
