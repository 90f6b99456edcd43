"""The event that every execution of both workflows puts on the account's default event bus when it ends."""

SOURCE = "eip-cutover"
DETAIL_TYPE = "Elastic IP Cutover Ended"
