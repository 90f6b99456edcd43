"""`make aws`: the local AWS for a person, up until Ctrl-C.

`.local/env` is for their shell. However this ends, no process stays: see `local.leash`. One Ctrl-C cleans up, which
takes well under a second; another one during that does not wait for it.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local.aws import PAIR, LocalAws
from local.deployment import ROOT
from local.run_folder import LOCAL

ENV = LOCAL / "env"
INTERRUPTED = 128 + signal.SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Bring it up, say what it is, stay until a signal, and leave nothing behind."""
    end_on_signals()
    ENV.unlink(missing_ok=True)  # of one that was killed
    up = False
    try:
        print("Starting AWS on this machine ...", flush=True)
        with LocalAws() as aws, _env_file(aws):
            up = True
            print(_description(aws), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nAWS on this machine has ended.", flush=True)
        sys.exit(0 if up else INTERRUPTED)
    except (RuntimeError, OSError) as error:
        sys.exit(f"AWS on this machine did not start. {error}")


def end_on_signals() -> None:
    """The first signal unwinds everything; the next one ends at once, and the leashes do the rest."""

    def end_at_once(number: int, _frame: FrameType | None) -> None:
        ENV.unlink(missing_ok=True)
        os._exit(128 + number)

    def end(_number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, end_at_once)
        raise KeyboardInterrupt

    for each in SIGNALS:
        signal.signal(each, end)


def exports(aws: LocalAws) -> str:
    """The shell's side of the local AWS: an AWS client, the workflow, the addresses, and what makes a server sick."""
    variables = aws.environment | {
        "STATE_MACHINE_ARN": aws.state_machine_arn,
        "PRODUCTION_IP": aws.production_ip,
        "STAGING_IP": aws.staging_ip,
        "SERVER_PORT": str(aws.server_port),
    }
    # The AWS CLI that make installed, for a shell that has none.
    path = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
    for name, server in aws.servers.items():
        variables[f"{name.upper()}_SICK"] = server.sick_command
        variables[f"{name.upper()}_WELL"] = server.well_command
    return path + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


@contextmanager
def _env_file(aws: LocalAws) -> Iterator[None]:
    content = exports(aws)
    ENV.write_text(content)
    try:
        yield
    finally:
        # Not that of another one that was started since.
        if ENV.exists() and ENV.read_text() == content:
            ENV.unlink()


def _description(aws: LocalAws) -> str:
    servers = "\n".join(
        f"  {name:10} {server.instance_id}, http://{server.address}:{server.port}"
        for name, server in aws.servers.items()
    )
    addresses = "\n".join(
        f"  {role:10} {address.allocation_id}, http://{address.public_ip}:{aws.server_port}, held by {aws.holder(role)}"
        for role, address in aws.addresses.items()
    )
    env = ENV.relative_to(ROOT)
    return f"""AWS runs on this machine, with the stack deployed, until Ctrl-C.

The pair {PAIR!r}:
{servers}
{addresses}

The workflow, {aws.state_machine_arn}

In another terminal, in this folder:
  . {env}                                            # an AWS client there now talks to this AWS
  curl http://$PRODUCTION_IP:$SERVER_PORT/                # who is live?
  python cutover.py status                                # the client: also start, history, rollback and more
  python cutover.py start
  aws stepfunctions start-execution --state-machine-arn $STATE_MACHINE_ARN --input '{{}}'
  aws stepfunctions list-executions --state-machine-arn $STATE_MACHINE_ARN
  aws ec2 describe-addresses
  eval "$TAO_SICK"                                        # its /health answers 500 from now on; see also TAO_WELL
  python -m local.faults AssociateAddress --kind answer-lost    # the next one; see --help, and --clear
"""


if __name__ == "__main__":
    main()
