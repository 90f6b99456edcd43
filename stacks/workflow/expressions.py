"""The JSONata of the workflows: what several states say, said once.

The workflows' variables; before one is assigned, `$exists` is false for it (docs/decisions/0010):

- `$plan`: what `DescribeAddresses` returned (`Plan.to_json` or `Refusal.to_json` in `lambdas/domain/plan.py`)
- `$production`, `$staging`: the addresses as they stand now, kept up with every change
- `$answered`: what the idle server's checks answered, in their order: its identity, for the check of production
- `$warnings`: in words, what could not be checked
- `$gap`: what was measured at production while the addresses changed (`GapRecord.until` in `lambdas/health`), or null
- `$liveChecked`: whether the live server was asked for the expected release; assigned only then
- `$repaired`: whether this execution has put the staging address on the idle server before the cutover
- `$moved`: whether it has begun to move production
- `$outcome`, `$cause`: how the execution ends: an outcome or an error of the contract; an error's cause, or "-"
- `$holder`: the lock's item, while another execution holds it
- `$interrupted`: the record of a dead holder (`Interrupted` in `lambdas/domain/plan.py`), if its lock is taken over
"""

import json
from typing import Any

from aws_cdk import aws_stepfunctions as sfn

EXECUTION = "{% $states.context.Execution.Id %}"
EXECUTION_NAME = "{% $states.context.Execution.Name %}"
# The text of a variable that has none, and the pair of an invalid request: the name of no pair and no server.
NONE = "-"

# An input may be 256 KiB, which is as much as a whole event of a function: of one that is no request of ours anyway,
# only the size is handed on.
REQUEST = """
    $length($string($states.context.Execution.Input)) > 32768
      ? "an input of " & $string($length($string($states.context.Execution.Input))) & " characters"
      : $states.context.Execution.Input
"""

# Lambda puts a JSON object with `errorMessage` into the cause; Step Functions' own causes are plain text, and some of
# its errors (`States.Timeout`) have none.
MESSAGE = """(
    $given := $states.errorOutput.Cause ? $states.errorOutput.Cause : "no cause was given";
    $of_lambda := $substring($given, 0, 1) = "{" and $substring($given, -1) = "}" and $contains($given,
    '"errorMessage":'); $of_lambda ? $parse($given).errorMessage : $given
)"""
CAUGHT = f'($states.errorOutput.Error & ": " & {MESSAGE})'
FAILED_STATE = f'($states.context.State.Name & " failed with " & {CAUGHT})'

# What every variable is that a later state may ask for.
INITIAL_VARIABLES: dict[str, Any] = {
    "repaired": False, "moved": False, "cause": NONE, "warnings": [], "gap": "{% null %}",
}  # fmt: skip
UNKNOWN_PAIR = {**INITIAL_VARIABLES, "plan": {"pair": NONE}}
REFUSALS = ("AddressMoved", "InvalidRequest", "PreflightFailed", "StagingUnhealthy")


def jsonata(expression: str) -> str:
    """The expression on one line, as a definition has it."""
    return f"{{% {' '.join(expression.split())} %}}"


def condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(jsonata(expression))


def merged(*objects: str) -> str:
    return f"$merge([{', '.join(objects)}])"


def sentence(expression: str) -> str:
    """The text with a full stop at its end, so that another sentence may follow."""
    return f'($text := {expression}; $substring($text, -1) = "." ? $text : $text & ".")'


IS_REFUSAL = f"$states.errorOutput.Error in [{', '.join(json.dumps(name) for name in REFUSALS)}]"
REFUSED_OUTCOME = f'{IS_REFUSAL} ? $states.errorOutput.Error : "PreflightFailed"'
REFUSED_CAUSE = sentence(f"{IS_REFUSAL} ? {MESSAGE} : {CAUGHT}")
# AddressMoved says that nothing was changed.
REFUSED_OUTCOME_AFTER_REPAIR = f"""
    $repaired and $states.errorOutput.Error = "AddressMoved" ? "PreflightFailed" : {REFUSED_OUTCOME}
"""
REPAIRED_OR_NOTHING = """(
    $repaired
      ? " Production was not touched. Staging was not on the idle server, and was put on " & $plan.idle.name & "."
      : " Nothing was changed."
)"""

# Variables for a failure before the first change: an error of ours keeps its name, all else is a preflight's.
PREFLIGHT_FAILURE = {"outcome": jsonata(REFUSED_OUTCOME), "cause": jsonata(REFUSED_CAUSE)}
# Before the cutover, where staging may have been repaired: the cause says what is true.
FAILURE_AFTER_REPAIR = {
    "outcome": jsonata(REFUSED_OUTCOME_AFTER_REPAIR),
    "cause": jsonata(f"{REFUSED_CAUSE} & {REPAIRED_OR_NOTHING}"),
}
# After a change began: it begins the cause of what the rollback comes to.
FIRST_FAILURE = {"cause": jsonata(sentence(FAILED_STATE))}

# Of the lock's item when it was deleted.
GAP = "$exists($states.result.Attributes.gap) ? $parse($states.result.Attributes.gap.S) : null"

# What an execution that succeeds returns, and what is published of it.
STANDING = """{
    "outcome": $outcome, "pair": $plan.pair, "production": $production, "staging": $staging,
    "previous": {"production": $plan.production, "staging": $plan.staging}
}"""
WARNINGS = '$count($warnings) > 0 ? {"warnings": $warnings} : {}'
MEASURED = '$gap != null ? {"gap": $gap} : {}'
PLAN = '{"plan": {"reason": $plan.reason, "steps": $plan.steps, "checked": $staging.server = $plan.idle.name}}'
RESULT = merged(STANDING, WARNINGS, MEASURED)
DRY_RUN_RESULT = merged(STANDING, WARNINGS, MEASURED, PLAN)
