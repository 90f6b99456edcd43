"""Powertools without logs and metrics, which cost more time than a handler and which nobody reads here."""

from collections.abc import Callable
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Logger:
    """As `aws_lambda_powertools.Logger`, saying nothing."""

    def __init__(self, **_: object) -> None:
        pass

    def inject_lambda_context(self, handler: Handler | None = None, **_: object) -> Any:
        return handler if handler is not None else lambda decorated: decorated

    def info(self, *_: object, **__: object) -> None:
        pass

    debug = warning = error = exception = info


class EphemeralMetrics:
    """As Powertools' class, publishing nothing."""

    def __init__(self, **_: object) -> None:
        pass

    def add_dimension(self, *_: object, **__: object) -> None:
        pass

    add_dimensions = add_metric = set_timestamp = flush_metrics = add_dimension
