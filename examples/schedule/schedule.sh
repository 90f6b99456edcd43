#!/bin/sh
# schedule.sh NAME TIME ZONE INPUT: starts one execution at TIME. NAME is the schedule's; a second one of that name is
# refused. STATE_MACHINE_ARN and ROLE_ARN are in the environment.
#   schedule.sh web-42 2026-12-01T03:00:00 Europe/Berlin '{"pair": "web", "release": "42"}'
set -eu
input=$(printf '%s' "$4" | sed 's/[\"]/\\&/g') # as a text in JSON
aws scheduler create-schedule --name "$1" \
  --schedule-expression "at($2)" --schedule-expression-timezone "$3" \
  --flexible-time-window Mode=OFF --action-after-completion DELETE \
  --target "{\"Arn\": \"$STATE_MACHINE_ARN\", \"RoleArn\": \"$ROLE_ARN\", \"Input\": \"$input\",
    \"RetryPolicy\": {\"MaximumEventAgeInSeconds\": 300, \"MaximumRetryAttempts\": 10}}"
