"""The last lines of `make try`: what is true now, what to type next, what it costs, and how to remove it."""

import re
from collections.abc import Iterable, Mapping

from this_machine import Answer
from try_servers import Pair
from try_stacks import CUTOVER, NAME, SERVERS

# In us-east-1, without a free tier: two t4g.nano ($0.0084), two public IPv4 addresses ($0.01), 16 GB of gp3 ($0.0018),
# and what the workflow's stack costs without a cutover, $5.10 a month (docs/monitoring.md, $0.007).
COST = "about $0.03 an hour (in us-east-1; elsewhere somewhat more)"
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def next_release(answers: Iterable[Answer]) -> int:
    """One more than the highest number with which the release of a server begins."""
    numbers = (re.match("[0-9]{1,9}(?![0-9])", answer.release) for answer in answers)
    return 1 + max((int(number[0]) for number in numbers if number), default=0)


def console_url(state_machine_arn: str) -> str:
    partition, region = state_machine_arn.split(":")[1:4:2]
    host = CONSOLES.get(partition, "console.aws.amazon.com")
    return f"https://{region}.{host}/states/home?region={region}#/statemachines/view/{state_machine_arn}"


def how_to_go_on(pair: Pair, answers: Mapping[str, Answer | None], *, region: str, state_machine_arn: str) -> str:
    """`answers` are by role, of this moment."""
    client = f"AWS_REGION={region} EIP_CUTOVER_STACK={CUTOVER} ./cutover.py"
    release, url = next_release(filter(None, answers.values())), pair.url("production")
    now = "\n".join(
        f"  {role:10}  {pair.url(role)}  {answer.line if answer else 'does not answer just now'}"
        for role, answer in answers.items()
    )
    return f"""What runs now ({SERVERS} and {CUTOVER} in {region}):
{now}

What to type next, in this folder:
  Who is live, and what would a rollback do?
    {client} status
  In a second terminal, watch production while you do the rest:
    while sleep 0.5; do curl -sS -m 2 {url}; done
  The next release, to the idle server:
    {client} start --release {release}
  Back to the server that was live before:
    {client} rollback
  A release whose health check fails, and which users never see:
    {client} start --release {release + 1}-unhealthy
  The workflow, in the console:
    {console_url(state_machine_arn)}
  Tests of the contract, on these two servers (they move and break them, and repair them at the end):
    AWS_REGION={region} make acceptance NAME={NAME}

This costs {COST}.
When you have seen enough, remove all of it:
    AWS_REGION={region} make try-destroy"""
