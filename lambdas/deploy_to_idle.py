"""The pipeline's Deploy action: puts a release onto the idle server. The cutover that follows asks for the server in
its output variable `server`, also if the stage is tried again later. CodePipeline calls again, with the continuation
token, until the job has ended. Source: CodePipeline User Guide, "Invoke an AWS Lambda function in a pipeline"; API
reference, PutJobSuccessResult."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from aws.addresses import Addresses
from aws.calls import CONFIG, Clock, Sleep, ec2_client
from aws.records import nothing_to_roll_back_to
from domain.deployed_pairs import deployed_pairs
from domain.errors import CutoverError
from domain.pair import Pair, Server

# How long one call waits before it returns the job to CodePipeline, well within the function's timeout.
PATIENCE_SECONDS, PAUSE_SECONDS = 40.0, 2.0
# Within this time the agent must have fetched the command. The minimum is 30. Source: API reference of SendCommand.
DELIVERY_SECONDS = 60
MARGIN_SECONDS = 120
LONGEST_OUTPUT, LONGEST_MESSAGE = 1500, 4000  # CodePipeline takes 5,000 characters
GOING_ON = ("Pending", "InProgress", "Delayed", "Cancelling")

logger = Logger()
ec2 = ec2_client()
# Typed as Any: only EC2's types are installed.
ssm: Any = boto3.client("ssm", config=CONFIG)
codepipeline: Any = boto3.client("codepipeline", config=CONFIG)


class NotDeployed(Exception):
    """The release is not on the idle server; the message is for a person."""


@dataclass(frozen=True)
class Deployment:
    """A command that was sent to a server, as the continuation token carries it."""

    command_id: str
    server: str
    instance_id: str
    until: float


@logger.inject_lambda_context(correlation_id_path='"CodePipeline.job".id')
def handler(event: Mapping[str, Any], _context: object) -> None:
    """Does the work of one call, and reports the state of the job to CodePipeline."""
    job = event["CodePipeline.job"]
    asked = json.loads(job["data"]["actionConfiguration"]["configuration"]["UserParameters"])
    work(job, asked, IdleServer(deployed_pairs()[asked["pair"]], ec2=ec2, ssm=ssm), codepipeline)


def work(job: Mapping[str, Any], asked: Mapping[str, Any], idle: "IdleServer", codepipeline: Any) -> None:
    token = job["data"].get("continuationToken")
    try:
        if token:
            deployment = Deployment(**json.loads(token))
        else:
            deployment = idle.send(asked["document"], release=asked["release"], seconds=asked["seconds"])
            logger.info("Sent", **asdict(deployment))
        finished = idle.finished(deployment)
    except NotDeployed as error:
        logger.warning("Not deployed", reason=str(error))
        failed = {"type": "JobFailed", "message": str(error)[:LONGEST_MESSAGE]}
        codepipeline.put_job_failure_result(jobId=job["id"], failureDetails=failed)
        return
    variables = {"server": deployment.server, "instanceId": deployment.instance_id}
    goes_on = {"continuationToken": json.dumps(asdict(deployment))}
    codepipeline.put_job_success_result(jobId=job["id"], **({"outputVariables": variables} if finished else goes_on))


class IdleServer:
    """The idle server of a pair, and the command that runs on it. Only tests pass a clock."""

    def __init__(self, pair: Pair, *, ec2: Any, ssm: Any, clock: Clock = time.time, sleep: Sleep = time.sleep) -> None:
        self._pair, self._ssm, self._clock, self._sleep = pair, ssm, clock, sleep
        self._addresses = Addresses(pair, ec2)

    def send(self, document: str, *, release: str, seconds: int) -> Deployment:
        """Starts the document on the idle server. From then on, a rollback has no server to go back to: users were not
        served by what is on the idle server. Raises NotDeployed."""
        server = self._idle()
        why = f"the deployment of release {release} to {server.name} began"
        try:
            free = nothing_to_roll_back_to(self._pair.name, server.name, why)
        except CutoverError as error:
            raise NotDeployed(f"Nothing was deployed. {error}") from error
        if not free:
            raise NotDeployed(
                f"An execution holds the lock of pair {self._pair.name}, and may need {server.name} as it is: for its "
                f"cutover, or to roll back. Nothing was deployed. Wait until it ends (./cutover.py status), then try "
                f"again."
            )
        try:
            sent = self._ssm.send_command(
                DocumentName=document,
                DocumentVersion="$LATEST",
                InstanceIds=[server.instance_id],
                Parameters={"Release": [release]},
                TimeoutSeconds=DELIVERY_SECONDS,
                Comment=f"Release {release} to {server.name}, idle in {self._pair.name}"[:100],
            )
        except (ClientError, BotoCoreError) as error:
            raise NotDeployed(
                f"Systems Manager did not accept the command for {server.name} ({server.instance_id}): {error}. Check "
                "that its agent runs there, and that the instance profile has the policy AmazonSSMManagedInstanceCore."
            ) from error
        until = self._clock() + DELIVERY_SECONDS + seconds + MARGIN_SECONDS
        return Deployment(sent["Command"]["CommandId"], server.name, server.instance_id, until)

    def finished(self, deployment: Deployment) -> bool:
        """Whether the command has succeeded and the server is still idle; False while it runs. Raises NotDeployed."""
        patience = self._clock() + PATIENCE_SECONDS
        while not self._succeeded(deployment):
            if self._clock() > deployment.until:
                raise NotDeployed(
                    f"Systems Manager did not report in time whether the command {deployment.command_id} on "
                    f"{deployment.server} has ended. Check it in Systems Manager, Run Command, before you try again."
                )
            if self._clock() > patience:
                return False
            self._sleep(PAUSE_SECONDS)
        if self._idle().name != deployment.server:
            raise NotDeployed(
                f"The release was deployed to {deployment.server}, which became live meanwhile. Check both servers."
            )
        return True

    def _succeeded(self, deployment: Deployment) -> bool:
        """False while it runs, and if its status is unknown: a second command must not run beside this command."""
        try:
            ids = {"CommandId": deployment.command_id, "InstanceId": deployment.instance_id}
            invocation = self._ssm.get_command_invocation(**ids)
        except (ClientError, BotoCoreError) as error:  # just after it was sent, also InvocationDoesNotExist
            logger.info("Status unknown", reason=str(error))
            return False
        if invocation["Status"] in GOING_ON:
            return False
        if invocation["Status"] == "Success":
            return True
        output = (invocation.get("StandardErrorContent") or invocation.get("StandardOutputContent") or "").strip()
        raise NotDeployed(
            f"The command {deployment.command_id} on {deployment.server} ({deployment.instance_id}) ended "
            f"{invocation.get('StatusDetails') or invocation['Status']}. Production was not touched. Its output: "
            f"{output[-LONGEST_OUTPUT:] or 'nothing'}"
        )

    def _idle(self) -> Server:
        """The server that holds the staging address, while the other server holds production. Raises NotDeployed."""
        try:
            production, staging = self._addresses.look()
        except CutoverError as error:
            raise NotDeployed(f"Cannot tell which server of pair {self._pair.name} is idle. {error}") from error
        live, idle = (self._pair.server_named(address.server) for address in (production, staging))
        if live is None or idle is None or live == idle:
            raise NotDeployed(
                f"Cannot tell which server of pair {self._pair.name} is idle: production is {production.place}, "
                f"staging is {staging.place}. Start the workflow with the serverName of the server that should be "
                f"live: this repairs staging. Then try again."
            )
        return idle
