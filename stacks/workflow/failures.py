"""How a state failed, in words, and the variables that a Catch assigns from it."""

import json

from stacks.workflow.expressions import jsonata, sentence

# Lambda's cause is a JSON object with `errorMessage`; Step Functions' own are plain text or missing (`States.Timeout`).
MESSAGE = """(
    $given := $states.errorOutput.Cause ? $states.errorOutput.Cause : "no cause was given";
    $of_lambda := $substring($given, 0, 1) = "{" and $substring($given, -1) = "}" and $contains($given,
    '"errorMessage":'); $of_lambda ? $parse($given).errorMessage : $given
)"""
CAUGHT = f'($states.errorOutput.Error & ": " & {MESSAGE})'
OF_STATE = f'($states.context.State.Name & " failed with " & {CAUGHT})'

REFUSALS = ("AddressMoved", "InvalidRequest", "PreflightFailed", "StagingUnhealthy")
IS_REFUSAL = f"$states.errorOutput.Error in [{', '.join(json.dumps(name) for name in REFUSALS)}]"
REFUSED_OUTCOME = f'{IS_REFUSAL} ? $states.errorOutput.Error : "PreflightFailed"'
REFUSED_CAUSE = sentence(f"{IS_REFUSAL} ? {MESSAGE} : {CAUGHT}")
# AddressMoved says that nothing was changed.
REFUSED_REPAIRED = f'$repaired and $states.errorOutput.Error = "AddressMoved" ? "PreflightFailed" : {REFUSED_OUTCOME}'
REPAIRED_OR_NOTHING = """(
    $repaired
      ? " Production was not touched. Staging was not on the idle server, and was put on " & $plan.idle.name & "."
      : $plan.deploys ? " Production was not touched." : " Nothing was changed."
)"""

# Variables for a failure before the first change: our errors keep their names, every other error is PreflightFailed.
PREFLIGHT = {"outcome": jsonata(REFUSED_OUTCOME), "cause": jsonata(REFUSED_CAUSE)}
# Before the cutover, but after a possible repair of staging: the cause says what is true.
AFTER_REPAIR = {"outcome": jsonata(REFUSED_REPAIRED), "cause": jsonata(f"{REFUSED_CAUSE} & {REPAIRED_OR_NOTHING}")}
# After a change began: the beginning of the cause that the rollback completes.
FIRST = {"cause": jsonata(sentence(OF_STATE))}
