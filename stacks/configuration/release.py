"""The keys of a release in a pair: what is deployed, what runs around a cutover, and whether a person must approve."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stacks.configuration.allowed import Section, list_of, one_of, section, some_of, text, whole_number
from stacks.configuration.problems import problem

# One call of a function, at most 900 seconds, runs all commands of a moment. A command's delivery may take 60 of them.
LONGEST_MOMENT_SECONDS = 840
MINUTES_OF_A_WEEK = 10_080
COMMAND_WORDS = 'one line of shell, 1 to 1000 printable ASCII characters, no "{{", which Systems Manager would replace'
COMMAND = text(COMMAND_WORDS, r"(?:\{?[ -z|}~])*(?:\{|\{?[!-z|}~]) *", Field(min_length=1, max_length=1000))
# Source: Lambda API reference, Invoke.
VERSION = r"(?::(?:\$LATEST|[A-Za-z0-9_-]{1,128}))?"
FUNCTION = f"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:function:[A-Za-z0-9_-]{{1,64}}{VERSION}"
FUNCTION_ARN = text("the ARN of a Lambda function, with or without a version or an alias", FUNCTION)


class Deploy(Section):
    """How a release gets onto the idle server."""

    command: Annotated[str, COMMAND]
    """It runs as root on the idle server, with `$PAIR`, `$SERVER`, `$RELEASE` and `$EXECUTION`."""
    timeoutSeconds: Annotated[int, whole_number(30, LONGEST_MOMENT_SECONDS)] = 600


class Hook(Section):
    """A command on one of the servers, or a function."""

    server: Annotated[Literal["idle", "live"], one_of("idle", "live")] = "idle"
    """The server's role at that moment. A function gets the server's name."""
    command: Annotated[str | None, COMMAND] = None
    """It runs like the command of `deploy`. `$RELEASE` is empty in an execution without a release."""
    function: Annotated[str | None, FUNCTION_ARN] = None
    """Instead of a command."""
    timeoutSeconds: Annotated[int, whole_number(5, LONGEST_MOMENT_SECONDS)] = 60
    onFailure: Annotated[Literal["FAIL", "CONTINUE"], one_of("FAIL", "CONTINUE")] = "FAIL"
    """With "CONTINUE", a failure is only a warning."""


def _fit_into_one_call(hooks: Sequence[Hook]) -> Sequence[Hook]:
    if (seconds := sum(hook.timeoutSeconds for hook in hooks)) > LONGEST_MOMENT_SECONDS:
        most = f"timeoutSeconds that are together at most {LONGEST_MOMENT_SECONDS}: one call of a function runs them"
        raise problem(most, f"hooks with {seconds} seconds together")
    return hooks


HOOK, HOOKS = section(Hook, rule=some_of("command", "function")), list_of(0, 10, "hooks")
HooksOfAMoment = Annotated[list[Annotated[Hook, HOOK]], AfterValidator(_fit_into_one_call)]


class Hooks(Section):
    """What runs around a cutover, by moment, in order."""

    beforeCutover: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """Just before the first change. Default: none."""
    afterCutover: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """After the bake. Default: none."""
    afterRollback: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """After a rollback, and if `beforeCutover` began and no cutover followed. Default: none"""


class Approval(Section):
    """A release waits for a person after its checks."""

    timeoutMinutes: Annotated[int, whole_number(1, MINUTES_OF_A_WEEK)] = 60
