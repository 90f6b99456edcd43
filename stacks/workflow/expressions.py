"""The JSONata of the workflow: what several states say, said once.

The workflow's variables:

- `$plan`: what `DescribeAddresses` returned (`Plan.to_json` in `lambdas/domain/plan.py`)
- `$production`, `$staging`: the addresses as they stand now, kept up with every change
- `$answered`: what the idle server's checks answered, in their order: its identity, for the check of production
- `$warnings`: in words, what could not be checked
- `$gap`: what was measured at the production address while the addresses changed (`Gap.to_json` in
  `lambdas/health/gap.py`), or null
- `$changed`: whether this execution has repaired the staging address
- `$moved`: whether it has begun to move production
- `$outcome`, `$cause`: how the execution ends: an outcome or an error of the contract; an error's cause, or "-"
- `$holder`: the lock's item, while another execution holds it
- `$interrupted`: the server that a dead holder of the lock was making live, unless it had succeeded; or "-"
"""

import json
from typing import Any

# An input may be 256 KiB, which is as much as a whole event of a function: of one that is no request of ours anyway,
# only the size is handed on.
REQUEST = (
    "{% $length($string($states.context.Execution.Input)) > 32768"
    ' ? "an input of " & $string($length($string($states.context.Execution.Input))) & " characters"'
    " : $states.context.Execution.Input %}"
)
EXECUTION = "{% $states.context.Execution.Id %}"
EXECUTION_NAME = "{% $states.context.Execution.Name %}"

# Lambda puts a JSON object with `errorMessage` into the cause; Step Functions' own causes are plain text, and some of
# its errors (`States.Timeout`) have none.
CAUSE = '($states.errorOutput.Cause ? $states.errorOutput.Cause : "no cause was given")'
MESSAGE = (
    f'($c := {CAUSE}; $substring($c, 0, 1) = "{{" and $substring($c, -1) = "}}"'
    ' and $contains($c, "\\"errorMessage\\":") ? $parse($c).errorMessage : $c)'
)
CAUGHT = f'($states.errorOutput.Error & ": " & {MESSAGE})'

# What a variable is before it is assigned, AWS does not document; so none is asked for before it is.
NOTHING = "-"
AT_THE_BEGINNING = {
    "plan": {"pair": NOTHING},
    "interrupted": NOTHING,
    "changed": False,
    "moved": False,
    "cause": NOTHING,
    "warnings": [],
    "gap": "{% null %}",
}

REFUSALS = ("AddressMoved", "InvalidRequest", "PreflightFailed", "StagingUnhealthy")


def jsonata(expression: str) -> str:
    return f"{{% {expression} %}}"


def sentence(expression: str) -> str:
    """The text with a full stop at its end, so that another sentence may follow."""
    return f'($s := {expression}; $substring($s, -1) = "." ? $s : $s & ".")'


def refused() -> dict[str, Any]:
    """Variables for a failure before the first change: an error of ours keeps its name, all else is a preflight's."""
    ours = f"$states.errorOutput.Error in [{', '.join(json.dumps(name) for name in REFUSALS)}]"
    return {
        "outcome": jsonata(f'{ours} ? $states.errorOutput.Error : "PreflightFailed"'),
        "cause": jsonata(sentence(f"{ours} ? {MESSAGE} : {CAUGHT}")),
    }


def failed() -> dict[str, Any]:
    """Variables for the first failure after a change began: it is told in the cause of what the rollback comes to."""
    return {
        "cause": jsonata(sentence(f'$states.context.State.Name & " failed with " & {CAUGHT}')),
    }


# Of the lock's item when it was deleted.
GAP = "$exists($states.result.Attributes.gap) ? $parse($states.result.Attributes.gap.S) : null"
MEASURED = '$gap != null ? {"gap": $gap} : {}'

# What an execution that succeeds returns, and what is notified of it.
RESULT = (
    '$merge([{"outcome": $outcome, "pair": $plan.pair, "production": $production, "staging": $staging,'
    ' "previous": {"production": $plan.production, "staging": $plan.staging}},'
    f' $count($warnings) > 0 ? {{"warnings": $warnings}} : {{}}, {MEASURED}])'
)
DRY_RUN_RESULT = (
    f'$merge([{RESULT}, {{"plan": {{"reason": $plan.reason, "steps": $plan.steps, "checked": $plan.stagingInPlace}}}}])'
)
