"""`make aws`: runs the local AWS for a person until Ctrl-C.

`.local/env` is for the person's shell. No process is left at the end: see `local.child_process`. The first Ctrl-C
cleans up, which takes less than a second. A second Ctrl-C does not wait for the clean-up.
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
from tempfile import NamedTemporaryFile
from types import FrameType

from local.aws import PAIR, LocalAws
from local.deployment import ROOT
from local.run_folder import LOCAL

ENV = LOCAL / "env"
INTERRUPTED = 128 + signal.SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Start the local AWS, print how to use it, run until a signal, and clean up."""
    end_on_signals()
    ENV.unlink(missing_ok=True)  # a killed run may have left it
    up = False
    try:
        print("Starting AWS on this machine ...", flush=True)
        with LocalAws() as aws, env_file(aws):
            up = True
            print(_description(aws), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nAWS on this machine has ended.", flush=True)
        sys.exit(0 if up else INTERRUPTED)
    except (RuntimeError, OSError) as error:
        sys.exit(f"AWS on this machine did not start. {error}")


def end_on_signals() -> None:
    """The first signal starts the clean-up. The next signal ends this process and its child processes at once."""

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
    """The variables for a shell: an AWS client, the workflow, the addresses, and commands for the servers' health."""
    variables = aws.environment | {
        "STATE_MACHINE_ARN": aws.state_machine_arn,
        "PRODUCTION_IP": aws.production_ip,
        "STAGING_IP": aws.staging_ip,
        "SERVER_PORT": str(aws.server_port),
    }
    # The AWS CLI that make installed, for a shell without one.
    path = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
    for name, server in aws.servers.items():
        variables[f"{name.upper()}_UNHEALTHY"] = server.unhealthy_command
        variables[f"{name.upper()}_HEALTHY"] = server.healthy_command
    return path + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


@contextmanager
def env_file(aws: LocalAws, path: Path = ENV) -> Iterator[None]:
    """The exports in a file that only this user may read, because they have the access key."""
    content = exports(aws)
    with NamedTemporaryFile("w", dir=path.parent, delete=False) as file:  # with the mode 0600
        file.write(content)
    Path(file.name).replace(path)
    try:
        yield
    finally:
        # Another run may have replaced the file.
        if path.exists() and path.read_text() == content:
            path.unlink()


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
  . {env}                                            # AWS clients in that shell use this AWS
  curl http://$PRODUCTION_IP:$SERVER_PORT/                # who is live?
  python cutover.py status                                # the client: also start, history, rollback and more
  python cutover.py start --server tao                    # a second start changes nothing, because it names the server
  python cutover.py start --release 7                     # deploys release 7 to the idle server, and makes it live
  aws ssm list-commands                                   # the commands that have run on the servers
  aws stepfunctions start-execution --state-machine-arn $STATE_MACHINE_ARN --input '{{"serverName": "tao"}}'
  aws stepfunctions list-executions --state-machine-arn $STATE_MACHINE_ARN
  aws ec2 describe-addresses
  eval "$TAO_UNHEALTHY"                                   # tao's /health answers 500; undo it with $TAO_HEALTHY
  python -m local.faults AssociateAddress --kind answer-lost    # the next such call; see --help and --clear
"""


if __name__ == "__main__":
    main()
