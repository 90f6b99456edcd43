"""Functions with a Python runtime, in ministack: their errors keep their names, and their processes stay warm.

ministack's own Python runtime reports every exception as `Runtime.HandlerError`, so Retry and Catch by name would never
match. Here a Python function runs as a function with a custom runtime: its `bootstrap` runs `awslambdaric`, the client
that AWS's Python runtime runs. DescribeFunction still shows the runtime that the function was given.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

BOOTSTRAP = """#!/bin/sh
exec python -m awslambdaric "$_HANDLER"
"""
EXECUTABLE = 0o100755 << 16


def correct_python_functions(lambda_svc: Any, lambda_runtime: Any) -> None:
    """Correct these modules of ministack, in this process."""
    execute_warm, worker_class = lambda_svc._execute_function_warm, lambda_runtime._worker_class_for

    class PythonWorker(lambda_runtime.ProvidedWorker):  # type: ignore[misc]
        def __init__(self, name: str, config: dict[str, Any], code: bytes) -> None:
            super().__init__(name, config, _with_bootstrap(code))

    def execute(function: dict[str, Any], event: Any, request_id: str) -> Any:
        runs = lambda_svc._execute_function_provided_warm if _is_python(function["config"]) else execute_warm
        return runs(function, event, request_id)

    def worker_class_for(config: dict[str, Any]) -> Any:
        return PythonWorker if _is_python(config) else worker_class(config)

    lambda_svc._execute_function_warm = execute
    lambda_runtime._worker_class_for = worker_class_for


def _is_python(config: dict[str, Any]) -> bool:
    return str(config.get("Runtime")).startswith("python")


def _with_bootstrap(code: bytes) -> bytes:
    """The same for the same code: ministack extracts equal archives once."""
    archive = io.BytesIO(code)
    with zipfile.ZipFile(archive, "a") as file:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = EXECUTABLE
        file.writestr(bootstrap, BOOTSTRAP)
    return archive.getvalue()
