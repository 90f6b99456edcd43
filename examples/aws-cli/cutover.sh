#!/bin/sh
# Starts a cutover with only the AWS CLI, follows it, and exits with the codes of `cutover.py start`:
#
#   0 done                 10 InvalidRequest     14 AddressMoved      17 stopped
#   1 this script failed   11 CutoverInProgress  15 RolledBack        18 timed out
#   2 a value is wrong     12 StagingUnhealthy   16 RollbackFailed    19 failed with another error
#                          13 PreflightFailed   21 DeployFailed      130, 143 interrupted; the execution continues
#                                               22 NotApproved
#
# Its environment variables say what to do:
#
#   STATE_MACHINE_ARN  the stack's output StateMachineArn
#   RELEASE            the release to deploy to the idle server and to make live; the pair needs `deploy`
#   SERVER             without a release, the server to make live, so that a job that runs again never switches back
#   NAME               execution name, for example commit and attempt; reusing it follows the existing execution
#   PAIR               the pair; needed only if there are several
#   EXPECTED_RELEASE   refuse to switch to another release; optional
#   DRY_RUN            if true, check everything and print the plan, but change nothing
set -eu

SECONDS_APART=${SECONDS_APART:-3}
TRIES=${TRIES:-100} # so many describe calls in a row may fail: five minutes

# Without these programs, a check below would pass every value, or a value would get lost.
for program in aws grep sed sleep tr; do
  command -v "$program" >/dev/null || {
    printf '%s\n' "This script needs the program $program." >&2
    exit 2
  }
done

# A filter that replaces each control character except the line feed with a space. Those of 8 bits (U+0080 to U+009F) have two
# bytes in UTF-8, and one in other encodings: that byte alone, after a character of ASCII, is never UTF-8.
without_control_characters() {
  eight_bits=$(printf '[\200-\237]')
  LC_ALL=C tr '\000-\011\013-\037\177' ' ' | LC_ALL=C sed -e "s/$(printf '\302')$eight_bits/ /g" \
    -e "s/^$eight_bits/ /" -e :next -e "s/\([ -~]\)$eight_bits/\1 /" -e 't next'
}

one_line() {
  printf '%s' "$1" | LC_ALL=C tr '\n' ' ' | without_control_characters
}

# The causes quote what servers answered, and CI systems execute commands in printed lines: GitHub `##[...]` anywhere in a line
# and `::...::` at its beginning, Azure `##vso[...]`, GitLab control characters. A space between the characters prevents this.
say() {
  printf '%s\n' "$(one_line "$*")" | LC_ALL=C sed -e 's/##\([A-Za-z]*\[\)/# #\1/g' -e 's/^\([^!-~]*\)::/\1: :/' >&2
}

wrong() {
  say "$1"
  exit 2
}

# Compares bytes, so that the meaning of a range or a class does not depend on the machine's locale.
matches() {
  printf '%s' "$1" | LC_ALL=C grep -Eqx "$2" && ! has_control_characters "$1"
}

has_control_characters() {
  [ "$(one_line "$1")" != "$1" ]
}

# One member of a JSON object, `,"name":"value"`; nothing if there is no value.
member() {
  if [ -n "$2" ]; then
    printf ',"%s":"%s"' "$1" "$(printf '%s' "$2" | sed 's/[\\"]/\\&/g')"
  fi
}

[ -n "${STATE_MACHINE_ARN:-}" ] || wrong "STATE_MACHINE_ARN is not set. Set it to the stack's output StateMachineArn."
[ -n "${RELEASE:-}${SERVER:-}" ] || [ "${DRY_RUN:-}" = true ] ||
  wrong "Neither RELEASE nor SERVER is set. Without them, a job that runs again switches back."
[ -n "${NAME:-}" ] || wrong "NAME is not set. Set it to, for example, commit and attempt."
# If a value began with file://, the AWS CLI would read that file.
matches "$STATE_MACHINE_ARN" 'arn:aws[a-z-]*:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]+' ||
  wrong "STATE_MACHINE_ARN is not the ARN of a state machine."
# Step Functions accepts other names too, but may not log their executions.
matches "$NAME" '[A-Za-z0-9_-]{1,80}' || wrong "NAME must be 1 to 80 of the characters A-Z, a-z, 0-9, - and _."
case ${DRY_RUN:-false} in
true) dry_run=',"dryRun":true' ;;
false) dry_run= ;;
*) wrong "DRY_RUN must be true or false." ;;
esac
for value in "${PAIR:-}" "${RELEASE:-}" "${SERVER:-}" "${EXPECTED_RELEASE:-}"; do
  if has_control_characters "$value"; then
    wrong "PAIR, RELEASE, SERVER and EXPECTED_RELEASE must be one line each, without control characters."
  fi
done

members=$(member pair "${PAIR:-}")$(member release "${RELEASE:-}")$(member serverName "${SERVER:-}")
members=$members$(member expectedRelease "${EXPECTED_RELEASE:-}")$dry_run
input="{${members#,}}"
# Use the Region of the state machine. The AWS CLI v1 does not read AWS_REGION.
AWS_REGION=${STATE_MACHINE_ARN#arn:*:states:}
AWS_REGION=${AWS_REGION%%:*}
AWS_DEFAULT_REGION=$AWS_REGION
export AWS_REGION AWS_DEFAULT_REGION
execution="${STATE_MACHINE_ARN%%:stateMachine:*}:execution:${STATE_MACHINE_ARN##*:stateMachine:}:$NAME"

# Prints the answer of `describe-execution`; $1 is a JMESPath expression.
describe() {
  aws stepfunctions describe-execution --execution-arn "$execution" --query "$1" --output text
}

interrupted() {
  say "Interrupted. Nothing was stopped. If the execution was started, it continues: $execution"
  exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

if message=$(aws stepfunctions start-execution --state-machine-arn "$STATE_MACHINE_ARN" --name "$NAME" --input "$input" \
  --query executionArn --output text 2>&1); then
  say "Started: $execution"
else
  case $message in
  *ExecutionAlreadyExists*) ;;
  *)
    say "$message"
    exit 1
    ;;
  esac
  if [ "$(describe input)" != "$input" ]; then
    say "The execution $NAME already exists with another input. Nothing was started. Choose another NAME."
    exit 1
  fi
  say "The execution already exists with the same input, so nothing was started: $execution"
fi

failures=0
while :; do
  if status=$(describe status); then
    failures=0
    case $status in RUNNING | PENDING_REDRIVE) ;; *) break ;; esac
  else
    failures=$((failures + 1))
    if [ "$failures" -ge "$TRIES" ]; then
      say "Cannot follow the execution any longer. It continues: $execution"
      exit 1
    fi
  fi
  sleep "$SECONDS_APART"
done

case $status in
SUCCEEDED)
  output=$(describe output)
  # In JSON this is the same value. JSON has no control characters, except the rare ones of 8 bits.
  printf '%s\n' "$output" | without_control_characters | LC_ALL=C sed 's/##\([A-Za-z]*\[\)/#\\u0023\1/g'
  exit 0
  ;;
FAILED)
  error=$(describe error)
  say "$error: $(describe cause)"
  ;;
*)
  error=$status
  say "$status. The repair runs automatically within minutes. Production stays where it is."
  ;;
esac
case $error in
InvalidRequest) exit 10 ;;
CutoverInProgress) exit 11 ;;
StagingUnhealthy) exit 12 ;;
PreflightFailed) exit 13 ;;
AddressMoved) exit 14 ;;
RolledBack) exit 15 ;;
RollbackFailed) exit 16 ;;
DeployFailed) exit 21 ;;
NotApproved) exit 22 ;;
ABORTED) exit 17 ;;
TIMED_OUT) exit 18 ;;
*) exit 19 ;;
esac
