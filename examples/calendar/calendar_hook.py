"""A hook before the cutover that fails while a calendar of Systems Manager is closed. CALENDAR has its name or ARN."""

import os

import boto3


def handler(event: dict[str, str], _context: object) -> dict[str, str]:
    calendar = boto3.client("ssm").get_calendar_state(CalendarNames=[os.environ["CALENDAR"]])
    if calendar["State"] == "OPEN":
        return {"hookStatus": "SUCCEEDED"}
    until = calendar.get("NextTransitionTime", "an unknown time")
    return {"hookStatus": "FAILED", "reason": f"Cutovers of {event['pair']} are frozen until {until}."}
