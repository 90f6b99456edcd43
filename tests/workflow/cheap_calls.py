"""Skips work that botocore, moto and jsonata repeat for every call and that these tests do not need."""

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import xmltodict
from botocore.client import BaseClient
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from jsonata import Jsonata
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.serialize import XFormedAttributePicker
from moto.ec2.models import ec2_backends
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.eval.event import event_manager
from moto.stepfunctions.parser.asl.jsonata.validations import validate_jsonata_expression_output as validate

from local.address_semantics import descriptions

KEYS: dict[tuple[object, ...], list[str]] = {}
A_FUNCTION = "a function"  # what the engine has in place of one
sign = RequestSigner.sign
make_request = BaseClient._make_request  # type: ignore[attr-defined]
possible_keys = XFormedAttributePicker.get_possible_keys


def make_calls_cheap(libraries: pytest.MonkeyPatch) -> None:
    """No signature, which moto believes unread; one user agent; no name looked up and no result evaluated twice."""
    libraries.setattr(RequestSigner, "sign", _sign)
    libraries.setattr(UserAgentString, "to_string", lambda _: "test")
    libraries.setattr(XFormedAttributePicker, "get_possible_keys", _keys)
    libraries.setattr(Jsonata.Frame, "lookup", _lookup)
    libraries.setattr(xmltodict, "_validate_name", lambda *_: None)
    libraries.setattr(string_expression, "validate_jsonata_expression_output", _validate)
    libraries.setattr(BaseClient, "_make_request", _make_request)
    quick = SimpleNamespace(deepcopy=lambda value: pickle.loads(pickle.dumps(value)))  # noqa: S301  # of our own making
    libraries.setattr(states, "copy", quick)
    libraries.setattr(event_manager, "copy", quick)


def _sign(signer: Any, operation: str, request: Any, *others: Any, **options: Any) -> None:
    if not request.url.startswith("https://"):  # of a server of moto's, which knows the service by the signature
        sign(signer, operation, request, *others, **options)


def _make_request(client: Any, operation: Any, request: Any, context: Any) -> Any:
    """Most calls ask for known addresses by their ids: what they get is made without HTTP and XML."""
    if operation.name == "DescribeAddresses" and client.meta.endpoint_url.startswith("https://"):
        ids = [value for key, value in request["body"].items() if key.startswith("AllocationId.")]
        shown = descriptions(ec2_backends[DEFAULT_ACCOUNT_ID][client.meta.region_name], ids)
        if ids and len(shown) == len(ids) == len(request["body"]) - len(("Action", "Version")):
            metadata = {"HTTPStatusCode": 200, "RequestId": "test"}
            return SimpleNamespace(status_code=200), {"Addresses": [*shown.values()], "ResponseMetadata": metadata}
    return make_request(client, operation, request, context)


def _keys(picker: Any, context: Any) -> list[str]:
    """Under which names the value of a member may stand: for a dict they depend on the member alone."""
    if not isinstance(context.obj, dict):
        return list(possible_keys(picker, context))
    shape = context.shape
    member = (context.key, context.service_model.service_name, shape.name, getattr(shape, "parent", shape).name)
    if member not in KEYS:
        KEYS[member] = list(possible_keys(picker, context))
    return KEYS[member]


def _lookup(frame: Any, name: str) -> Any:
    """As jsonata's, but for the debugger's callbacks, which it looks up twice for every part of an expression."""
    while frame is not None and not name.startswith("__evaluate_"):
        if name in frame.bindings:
            return frame.bindings[name]
        frame = frame.parent
    return None


def _validate(env: Any, expression: str, rich: str, result: Any) -> None:
    """moto evaluates an expression again for the type of its result."""
    if result is None or result == A_FUNCTION:
        validate(env, expression, rich, result)
