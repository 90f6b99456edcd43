"""An account in memory for the client, with AWS's answers in AWS's shapes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from client.account import Account
from domain.pair import Json, Pair, Server

BEGAN = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
DATE = {"date": "Sun, 01 Feb 2026 10:00:00 GMT"}
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:eip-cutover"
EXECUTION = MACHINE.replace("stateMachine", "execution")
OUTPUTS = {"StateMachineArn": MACHINE, "LockTableName": "locks", "PairsPath": "/eip-cutover/pairs"}
INSTANCES = {"bittybot": "i-a", "tao": "i-b"}
OTHER = {"bittybot": "tao", "tao": "bittybot"}


def published(name: str, production: str, staging: str, servers: Mapping[str, str]) -> Pair:
    """A pair as the stack publishes it: two allocation ids, and instance ids by server name."""
    first, second = (Server(server, instance_id) for server, instance_id in servers.items())
    return Pair(name, production, staging, (first, second), health_check=[])


PAIR = published("web", "eipalloc-a", "eipalloc-b", INSTANCES)


def refusal(code: str, message: str = "no", status: int = 400, operation: str = "Something") -> ClientError:
    """With the header Date, as every answer of AWS."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": DATE}
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(answer, operation)


def address(server: str | None) -> dict[str, Any]:
    """As an outcome reports it."""
    return {"publicIp": "203.0.113.10", "allocationId": "eipalloc-a", "associationId": server and "eipassoc-a",
            "server": server, "instanceId": server and INSTANCES[server], "privateIp": None}  # fmt: skip


def execution(name: str, status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    """The answer of DescribeExecution, with its header Date."""
    ended = {} if status == "RUNNING" else {"stopDate": BEGAN + timedelta(seconds=8.25)}
    dated = {"ResponseMetadata": {"HTTPHeaders": DATE}}
    named = {"executionArn": f"{EXECUTION}:{name}", "stateMachineArn": MACHINE, "name": name}
    return {**named, "status": status, "startDate": BEGAN, "input": "{}", **ended, **dated, **more}


def cut_over(name: str, before: str, after: str, pair: str = "web", outcome: str = "CUT_OVER") -> dict[str, Any]:
    previous = {"production": address(before), "staging": address(after)}
    now = {"production": address(after), "staging": address(before)}
    return execution(name, output=json.dumps({"outcome": outcome, "pair": pair, **now, "previous": previous}))


def event(number: int, kind: str, previous: int | None = None, **details: Any) -> dict[str, Any]:
    """An event of a history, as GetExecutionHistory shows it; `details` under the key of its type."""
    key = kind[0].lower() + kind[1:] + "EventDetails"
    if kind.endswith(("StateEntered", "StateExited")):
        key = f"state{kind[-7 if kind.endswith('Entered') else -6 :]}EventDetails"
    numbers = {"id": number, "previousEventId": number - 1 if previous is None else previous}
    moment = BEGAN + timedelta(milliseconds=100 * (number - 1))
    return {**numbers, "type": kind, "timestamp": moment, **({key: details} if details else {})}


def task_output(payload: object) -> str:
    return json.dumps({"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200})


def planned(live: str, pair: str = "web") -> list[dict[str, Any]]:
    """The history of an execution that has a plan."""
    plan = {"pair": pair, "live": {"name": live}, "idle": {"name": OTHER[live]}, "reason": "it was asked for",
            "production": address(live), "staging": address(OTHER[live])}  # fmt: skip
    return [
        event(1, "ExecutionStarted", input="{}"),
        event(2, "TaskStateEntered", name="DescribeAddresses"),
        event(3, "TaskSucceeded", resourceType="lambda", resource="invoke", output=task_output(plan)),
    ]


def in_turn(*answers: Any) -> Any:
    """A call that returns or raises these values in turn, and then always the last one."""
    left = list(answers)
    return lambda **_: left.pop(0) if len(left) > 1 else left[0]


class Service:
    """One client of boto3: of each call a function, a value or an exception; a list is the pages of a paginator.

    Every call is kept in `calls`.
    """

    def __init__(self, **answers: Any) -> None:
        self._answers, self.calls = answers, list[tuple[str, dict[str, Any]]]()

    def __getattr__(self, name: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.calls.append((name, parameters))
            answer = self._answers[name](**parameters) if callable(self._answers[name]) else self._answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        def paginate(**parameters: Any) -> Iterator[Any]:
            page = getattr(self, name)(**parameters)
            if isinstance(page, list):
                yield from page
                return
            yield page
            while token := {key: page[key] for key in ("nextToken", "NextToken") if page.get(key)}:
                page = getattr(self, name)(**parameters, **token)
                yield page

        return SimpleNamespace(paginate=paginate)


def session(**services: Service) -> Any:
    """A session of boto3 with these clients, and one of CloudFormation that knows the stack."""
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
    known = {"cloudformation": Service(describe_stacks={"Stacks": [{"Outputs": outputs}]}), **services}
    return SimpleNamespace(client=lambda name, **_: known[name], region_name="eu-west-1")


def item(**attributes: object) -> dict[str, Any]:
    """An item of the lock table: texts as they are, numbers as numbers, anything else as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    return {key: {"N" if isinstance(attributes[key], int) else "S": text} for key, text in texts.items()}


def lock_table(*items: Json) -> Service:
    """A table with these items, a page each."""
    found: Json = {"Item": items[0]} if items else {}
    return Service(scan=[{"Items": [each]} for each in items] or [{"Items": []}], get_item=found)


def parameter_store(*pairs: Pair) -> Service:
    """With these pairs, a page each."""

    def value(pair: Pair) -> str:
        servers = {server.name: server.instance_id for server in pair.servers}
        checks = {"healthCheck": pair.health_check} if pair.health_check else {}
        interfaces = {each.name: each.network_interface_id for each in pair.servers if each.network_interface_id}
        known = {"networkInterfaces": interfaces} if interfaces else {}
        return json.dumps(
            {"production": pair.production, "staging": pair.staging, "servers": servers, **known, **checks}
        )

    parameters = [{"Name": f"{OUTPUTS['PairsPath']}/{pair.name}", "Value": value(pair)} for pair in pairs]
    return Service(get_parameters_by_path=[{"Parameters": [parameter]} for parameter in parameters])


def account(
    *executions: Mapping[str, Any],
    histories: Mapping[str, list[dict[str, Any]]] | None = None,
    live: str | None = "bittybot",
    pairs: Iterable[Pair] = (PAIR,),
    staging: Mapping[str, Any] | None = None,
    **services: Service,
) -> Account:
    """With these executions, newest first, and histories by their names. Of web, production is on the server `live`,
    and staging on the other server, or as `staging` shows it."""
    described = {each["executionArn"]: each for each in executions}

    def on(allocation: str, server: str | None) -> dict[str, Any]:
        place = {"InstanceId": INSTANCES[server], "AssociationId": "eipassoc-x"} if server else {}
        return {"AllocationId": allocation, "PublicIp": "203.0.113.10", **place}

    def history(executionArn: str, **_: object) -> dict[str, Any]:  # noqa: N803
        return {"events": (histories or {}).get(executionArn.rsplit(":", 1)[-1], [])[::-1]}

    elsewhere = on(PAIR.staging, OTHER[live] if live else None)
    if staging is not None:
        elsewhere = {**on(PAIR.staging, None), **staging}
    addresses = [on(PAIR.production, live), elsewhere]
    known = {
        "stepfunctions": Service(
            list_executions={"executions": list(executions)},
            describe_execution=lambda executionArn: described.get(executionArn, refusal("ExecutionDoesNotExist")),  # noqa: N803
            get_execution_history=history,
        ),
        "ssm": parameter_store(*pairs),
        "ec2": Service(describe_addresses={"Addresses": addresses}),
    }
    return Account(session(**known, **services))
