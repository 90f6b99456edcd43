"""The JSONata that several states of the workflows share. Their variables: docs/architecture.md."""

from aws_cdk import aws_stepfunctions as sfn

ME = "$states.context.Execution.Id"
EXECUTION = f"{{% {ME} %}}"
EXECUTION_NAME = "{% $states.context.Execution.Name %}"
INPUT = "{% $states.input %}"  # as the output of a state whose result nobody needs
# The text of a variable that has no text, and the pair of an invalid request. No pair and no server has this name.
NONE = "-"
# The first values of the variables that a later state may read.
INITIAL_VARIABLES = {"repaired": False, "moved": False, "cause": NONE, "warnings": list[str](), "gap": "{% null %}"}
UNKNOWN_PAIR = {**INITIAL_VARIABLES, "plan": {"pair": NONE}}


def bounded(value: str, characters: int) -> str:
    """The value; if it is too long to be valid, only its size, so that no state and no log repeats it: an input may
    have 256 KiB, the limit of a function's whole event."""
    length = f"$length($string({value}))"
    return f'({length} > {characters} ? "an input of " & $string({length}) & " characters" : {value})'


def jsonata(expression: str) -> str:
    """The expression on one line, as in a definition."""
    return f"{{% {' '.join(expression.split())} %}}"


def plain(expression: str, characters: int) -> str:
    """A text of someone who answers: short, on one line, and nothing that chat applications would act on."""
    return f'$substring($replace({expression}, /[^ -;=?-Z^-~]/, "?"), 0, {characters})'


def condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(jsonata(expression))


def of_plan(*keys: str) -> dict[str, str]:
    return {key: f"{{% $plan.{key} %}}" for key in keys}


def merged(*objects: str) -> str:
    return f"$merge([{', '.join(objects)}])"


def sentence(expression: str) -> str:
    """The text with a full stop at its end, so that another sentence may follow."""
    return f'($text := {expression}; $substring($text, -1) = "." ? $text : $text & ".")'
