#!/usr/bin/env python3
"""The part of the AWS CLI that `examples/aws-cli` calls. It answers from a file, and records every call.

FAKE_AWS names a folder with `answers.json`: `start`, and `described`, a list whose last answer repeats. An answer that
is a text is an error code. As version 1 of the AWS CLI it reads AWS_DEFAULT_REGION, as version 2 AWS_REGION first.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["FAKE_AWS"])


def main(words: list[str]) -> int:
    with (FOLDER / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    options = dict(zip(words[2::2], words[3::2], strict=True))
    arn = options.get("--state-machine-arn") or options["--execution-arn"]
    if any(os.environ.get(variable) != arn.split(":")[3] for variable in ("AWS_DEFAULT_REGION", "AWS_REGION")):
        print(
            'You must specify a region. You can also configure your region by running "aws configure".', file=sys.stderr
        )
        return 253
    answers: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text())
    if words[:2] == ["stepfunctions", "start-execution"]:
        answer = answers["start"]
    elif words[:2] == ["stepfunctions", "describe-execution"]:
        answer = answers["described"][0]
        if options["--query"] == "status" and len(answers["described"]) > 1:
            answers["described"].pop(0)
            (FOLDER / "answers.json").write_text(json.dumps(answers))
    else:
        answer = "InvalidAction"
    if isinstance(answer, str):
        print(f"An error occurred ({answer}) when calling the operation: no", file=sys.stderr)
        return 254
    value = answer.get(options["--query"])
    print("None" if value is None else value)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
