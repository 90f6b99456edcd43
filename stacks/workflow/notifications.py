"""Publishes how an execution ended: once on the topic, for people and programs, and once as an event, for programs.

E-mails and text messages get a text, queues and functions get the outcome as JSON. The chat applications of Amazon Q
Developer, which subscribe by HTTPS, get their own form of a notification. Sources: SNS Developer Guide, "Publishing SNS
notifications with platform-specific payloads"; Amazon Q Developer in chat applications, "Custom notifications"."""

from aws_cdk import aws_stepfunctions as sfn, aws_stepfunctions_tasks as sfn_tasks

from stacks.workflow.expressions import INPUT, ME, jsonata, merged
from stacks.workflow.tasks import Tasks

# The event that every execution of the cutover and the repair puts on the account's default event bus when it ends.
DETAIL_TYPE = "Elastic IP Cutover Ended"
FOR_PROGRAMS = ("firehose", "http", "lambda", "sqs")

# SNS accepts a subject of fewer than 100 characters. The longest outcome has 17, the longest name of a pair 64.
SUBJECT_CHARACTERS, OUTCOME_CHARACTERS, PAIR_CHARACTERS = 99, 17, 64
# What an execution that succeeds returns and publishes.
STANDING = """{
    "outcome": $outcome, "pair": $plan.pair, "production": $production, "staging": $staging,
    "previous": {"production": $plan.production, "staging": $plan.staging}
}"""
APPROVER = '$exists($approvedBy) ? {"approvedBy": $approvedBy} : {}'
WARNED = merged('$count($warnings) > 0 ? {"warnings": $warnings} : {}', APPROVER)
MEASURED = '$gap != null ? {"gap": $gap} : {}'
PLAN = '{"plan": {"reason": $plan.reason, "steps": $plan.steps, "checked": $staging.server = $plan.idle.name}}'
RESULT = merged(STANDING, WARNED, MEASURED)
DRY_RUN_RESULT = merged(STANDING, WARNED, MEASURED, PLAN)
STARTED = """{
    "execution": $states.context.Execution.Id, "workflow": $states.context.StateMachine.Name,
    "startedAt": $states.context.Execution.StartTime
}"""
ENDED = '{"endedAt": $states.context.State.EnteredTime}'
PAIR = '$plan.pair != "-" ? {"pair": $plan.pair} : {}'
FAILURE = merged('{"outcome": $outcome, "cause": $cause}', WARNED)
OUTCOME = f'$cause != "-" ? {FAILURE} : {RESULT}'

ON = 'function($of) {"on " & ($of.server != null ? $of.server & " (" & $of.instanceId & ")" : "no server")}'
PLACES = """
    "Production " & $production.publicIp & " is " & $on($production) & ", staging " & $staging.publicIp & " is "
    & $on($staging) & ".\\nBefore: production " & $on($plan.production) & ", staging " & $on($plan.staging) & "."
"""
WARNINGS = '($count($warnings) > 0 ? "\\n" & $join($warnings, "\\n") : "")'
APPROVED = '($exists($approvedBy) ? "\\nApproved by " & $approvedBy & "." : "")'
GAP = """(
    $gap != null
      ? "\\nWhile the addresses changed, " & $string($gap.requests) & " requests were sent to production: "
        & $string($gap.failed) & " failed, and the longest time without a good answer was " & $string($gap.longestMs)
        & " ms." : ""
)"""
TEXT = f'($cause != "-" ? $cause : {PLACES}) & {WARNINGS} & {APPROVED} & {GAP} & "\\n\\nExecution: " & {ME}'
CHAT = """{
    "version": "1.0", "source": "custom",
    "content": {"textType": "client-markdown", "title": $subject, "description": $text},
    "metadata": {
        "summary": $subject, "eventType": $about, "relatedResources": [$states.context.Execution.Id],
        "additionalContext": {"outcome": $about, "pair": $plan.pair, "execution": $states.context.Execution.Id}
    }
}"""


def detail_of(about: str) -> str:
    """JSONata for what programs receive. `about` is JSONata for an object with more keys."""
    return merged(STARTED, ENDED, about, PAIR, OUTCOME, MEASURED)


def subject_of(name: str, outcome: str = "$outcome") -> str:
    """JSONata for a message's subject, which SNS limits: a long pair is cut off. An invalid request's pair is "-"."""
    room = SUBJECT_CHARACTERS - len(f"{name}:  ") - OUTCOME_CHARACTERS
    pair = "$plan.pair" if room >= PAIR_CHARACTERS else f"$substring($plan.pair, 0, {room})"
    return f'"{name}: " & ($plan.pair != "-" ? {pair} & " " : "") & {outcome}'


def publish(tasks: Tasks, state: str, *, text: str, detail: str, outcome: str = "$outcome") -> sfn_tasks.SnsPublish:
    """Publishes a message, in a form for each kind of subscriber. All texts are JSONata; `detail` is for programs."""
    programs = "".join(f', "{protocol}": $detail' for protocol in FOR_PROGRAMS)
    subject = subject_of(tasks.resources.names.cutover, outcome)
    values = f"$on := {ON}; $about := {outcome}; $subject := {subject}; $text := {text}; $detail := $string({detail})"
    attributes = {"outcome": outcome, "pair": "$plan.pair"}
    message = f'({values}; $string({{"default": $text, "https": $string({CHAT}){programs}}}))'
    return tasks.task(
        sfn_tasks.SnsPublish.jsonata,
        state,
        topic=tasks.resources.topic,
        subject=jsonata(subject),
        message=sfn.TaskInput.from_text(jsonata(message)),
        message_per_subscription_type=True,
        message_attributes={key: sfn_tasks.MessageAttribute(value=jsonata(each)) for key, each in attributes.items()},
        outputs=INPUT,
    )


def put_event(tasks: Tasks, state: str, detail_type: str, detail: str) -> sfn_tasks.EventBridgePutEvents:
    """A state that puts one event on the default bus, for the rules there. `detail` is JSONata."""
    source, text = tasks.resources.names.cutover, sfn.TaskInput.from_text(jsonata(detail))
    entry = sfn_tasks.EventBridgePutEventsEntry(source=source, detail_type=detail_type, detail=text)
    return tasks.task(sfn_tasks.EventBridgePutEvents.jsonata, state, entries=[entry], outputs=INPUT)
