#!/usr/bin/env python3
"""Starts the client, for people and for CI. See `./cutover.py --help`, and `client/`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file must also compile with older Pythons
    sys.exit("cutover.py needs Python 3.11 or newer; this is Python " + ".".join(map(str, sys.version_info[:3])) + ".")

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = HERE / ".venv" / "bin" / "python"  # where `make setup` installs
# The folder of `client`, which `python -I` leaves out, and the folder of `domain`.
sys.path += [str(HERE), str(HERE / "lambdas")]

if __name__ == "__main__":
    try:
        from client.commands import main
    except ModuleNotFoundError as error:
        if INSTALLED.exists() and Path(sys.prefix) != INSTALLED.parent.parent:
            os.execv(INSTALLED, [str(INSTALLED), "-I", *sys.argv])  # noqa: S606 - in place of this one
        how = "Install them with `make setup`, or in your own environment with: pip install -r client/requirements.txt"
        sys.exit(str(error.name) + " is not installed. The client needs boto3, click and rich. " + how)
    sys.exit(main())
