"""The JSONata that several states of the workflows share.

The workflows' variables; before one is assigned, `$exists` is false for it (docs/decisions/0010):

- `$plan`: what `DescribeAddresses` returned (`Plan.to_json` or `Refusal.to_json` in `lambdas/domain/plan.py`)
- `$production`, `$staging`: the addresses as they are now, updated after every change
- `$answered`: what the idle server answered to each check, in their order: the check of production compares identities
- `$warnings`: in words, what could not be checked
- `$gap`: what was measured at production while the addresses changed (`GapRecord.until` in `lambdas/health`), or null
- `$liveChecked`: true if the live server was checked for the expected release; assigned only then
- `$repaired`: whether this execution has put the staging address on the idle server before the cutover
- `$moved`: whether it has begun to move production
- `$outcome`, `$cause`: how the execution ends: an outcome or an error of the contract, and an error's cause or "-"
- `$alarms`: the alarms that count in the bake
- `$approvesUntil`: when the wait for approval ends, and `$approvedBy`: who approved; assigned only then
- `$hooksBegan`: true once the hooks before the cutover have begun; assigned only then
- `$bakesUntil`: when the bake ends; assigned when it begins
- `$holder`: the lock's item, while another execution holds it; `$holderEnded`: how that execution ended
- `$asked`: the execution that this one has asked to roll back, and `$awaited`: `Awaited` in `lambdas/domain/plan.py`,
  or null; assigned only then
- `$waits`: how often the repair has waited for the end of an execution
"""

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
