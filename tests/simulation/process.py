"""Makes this process one in which unchanged handlers run in a simulation: what they import of the standard library, of
boto3 and of Powertools is replaced. Nothing of our own code is. `install` comes before the import of any handler."""

import concurrent.futures
import datetime
import os
import socket
import sys
import threading
import time
import typing
from functools import cache
from pathlib import Path

import aws_lambda_powertools
import aws_lambda_powertools.metrics
from botocore.client import BaseClient

from tests.simulation.seams import boto, clock, environment, quiet, sockets, threads

LAMBDAS = Path(__file__).parents[2] / "lambdas"
# Nothing here is called at AWS: boto3 only wants them for making a client.
FOR_BOTO3 = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated"}
THREADING = {
    "Event": threads.Event, "Thread": threads.Thread, "Timer": threads.Timer,
    "BoundedSemaphore": threads.BoundedSemaphore,
}  # fmt: skip
FUTURES = {
    "Future": threads.Future, "ThreadPoolExecutor": threads.ThreadPoolExecutor, "as_completed": threads.as_completed,
}  # fmt: skip
TIME = {"time": clock.now, "monotonic": clock.monotonic, "perf_counter": clock.monotonic, "sleep": clock.sleep}
REPLACED = (
    (typing, {"get_type_hints": cache(typing.get_type_hints)}),  # every event is read with them
    (threading, THREADING),
    (concurrent.futures, FUTURES),
    (time, TIME),
    (datetime, {"datetime": clock.Datetime}),
    (socket, {"socket": sockets.Socket}),
    (BaseClient, {"_make_api_call": boto.make_api_call}),
    (aws_lambda_powertools, {"Logger": quiet.Logger}),
    (aws_lambda_powertools.metrics, {"EphemeralMetrics": quiet.EphemeralMetrics}),
)


def install() -> None:
    """Once in a process, for good."""
    if "aws" in sys.modules or "health" in sys.modules:
        raise RuntimeError("a handler was imported before")
    os.environ.update(FOR_BOTO3)
    for module, attributes in REPLACED:
        for name, replacement in attributes.items():
            setattr(module, name, replacement)
    environment.replace()
    sys.path.insert(0, str(LAMBDAS))
