#!/usr/bin/env python3
"""The client of the cutover, for people and for CI: see `client/`, and `./cutover.py --help`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - so this file is written for any older Python, too
    sys.exit("cutover.py needs Python 3.11 or newer; this is Python " + ".".join(map(str, sys.version_info[:3])) + ".")

from pathlib import Path

HERE = Path(__file__).parent
# The folder of `client`, which `python -I` leaves out, and that of `domain`, which functions and client share.
sys.path += [str(HERE), str(HERE / "lambdas")]

if __name__ == "__main__":
    try:
        from client.commands import main
    except ModuleNotFoundError as error:
        sys.exit(
            str(error.name) + " is not installed. The client needs boto3, click and rich, at the versions in "
            "client/requirements.txt: pip install -r client/requirements.txt, or `make setup` and then "
            ".venv/bin/python cutover.py."
        )
    sys.exit(main())
