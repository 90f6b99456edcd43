"""Calls of the health check's handler, against servers on loopback and with an interval of hundredths of a second."""

from collections.abc import Mapping
from typing import Any

from health_check import handler
from tests.unit.checks import EVENT, SETTINGS
from tests.unit.misbehaving_servers import Server

QUICK: dict[str, Any] = {**SETTINGS, "intervalSeconds": 0.02, "timeoutSeconds": 0.5}


class Context:
    """What Powertools reads of a Lambda context."""

    function_name = "health-check"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:health-check"
    aws_request_id = "52fdfc07"


CONTEXT: Any = Context()


def check_of(server: Server, **settings: Any) -> dict[str, Any]:
    """A quick check of the server's port."""
    return {**QUICK, "port": server.port, **settings}


def called(
    *checks: Mapping[str, Any], address: str = "staging", addressed: Mapping[str, Any] | None = None, **event: Any
) -> dict[str, Any]:
    """The handler's result for these checks of an address on 127.0.0.1, or `addressed`; `event` are further keys."""
    asked = addressed or {"name": address, "publicIp": "127.0.0.1", "privateIp": None}
    return handler({**EVENT, "address": asked, "healthCheck": list(checks), **event}, CONTEXT)
