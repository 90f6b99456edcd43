"""Succeed states in ministack: with JSONata, their `Output` becomes the output. ministack passes the input on.

Source: Step Functions Developer Guide, "Succeed workflow state".
"""

from __future__ import annotations

from typing import Any


def correct_succeed_states(stepfunctions: Any) -> None:
    """Correct this module of ministack, in this process."""
    apply_output_path = stepfunctions._apply_output_path

    def output_of(state: dict[str, Any], value: Any, context: Any = None) -> Any:
        if state.get("Type") == "Succeed" and stepfunctions._state_query_language(state, context) == "JSONata":
            return stepfunctions._apply_jsonata_output(state, value, context, default=value)
        return apply_output_path(state, value, context)

    stepfunctions._apply_output_path = output_of
