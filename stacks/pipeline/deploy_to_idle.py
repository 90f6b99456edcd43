"""The document that the pipeline runs on the idle server, and the function that finds the server."""

from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks.cdk_nag import acknowledge
from stacks.configuration.names import Names
from stacks.configuration.pairs import Pairs
from stacks.configuration.pipeline import Pipeline
from stacks.functions.bundle import lambda_code
from stacks.functions.python_function import python_function

# A commit, or an object's version. No allowed character has a meaning for a shell.
RELEASE = "^[A-Za-z0-9._+/=-]{1,255}$"
# CodePipeline User Guide, "Quotas": 20 minutes without an answer, 24 hours in all.
SILENT_JOB = "CodePipeline itself fails a job that is silent for 20 minutes, and shows this in the pipeline."


class DeployToIdle(Construct):
    """The target is found by a function, because only at run time it is known which server is idle. The function may
    run one document with one command, on the two servers of the pair. The document's parameter accepts nothing that a
    shell could run. `asked` are the function's parameters, except the release."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Names, pipeline: Pipeline, pairs: Pairs) -> None:
        super().__init__(scope, construct_id)
        stack, pair, deploy = Stack.of(self), pipeline.pair, pipeline.deploy
        run_command = {
            "timeoutSeconds": str(deploy.timeoutSeconds),
            "runCommand": ["set -eu", "export RELEASE='{{ Release }}'", deploy.command],
        }
        release = {"type": "String", "description": "Commit or version.", "allowedPattern": RELEASE}
        document = ssm.CfnDocument(
            self,
            "Command",
            document_type="Command",
            document_format="JSON",
            target_type="/AWS::EC2::Instance",
            update_method="NewVersion",
            content={
                "schemaVersion": "2.2",
                "description": f"Puts a release onto the idle server of {pair}.",
                "parameters": {"Release": release},
                "mainSteps": [{"action": "aws:runShellScript", "name": "deploy", "inputs": run_command}],
            },
        )
        self.asked = {"pair": pair, "document": document.ref, "seconds": deploy.timeoutSeconds}
        table_name = ssm.StringParameter.value_for_string_parameter(self, names.lock_table_parameter)
        lock_table = dynamodb.Table.from_table_name(self, "Locks", table_name)
        how: Any = {"code": lambda_code(pairs), "timeout": Duration.seconds(120), "lost": SILENT_JOB}
        self.function = python_function(self, "Function", "deploy_to_idle", names=names, **how)
        self.function.add_environment("LOCK_TABLE", table_name)
        lock_table.grant(self.function, "dynamodb:GetItem", "dynamodb:UpdateItem")
        # If Lambda repeated a call that died, it would send a second command.
        self.function.configure_async_invoke(retry_attempts=0)
        acknowledge(self.function, {"Serverless::Serverless-LambdaAsyncFailureDestination": SILENT_JOB})
        servers = pairs[pair].servers.values()
        instances = [stack.format_arn(service="ec2", resource=f"instance/{server}") for server in servers]
        document_arn = stack.format_arn(service="ssm", resource="document", resource_name=document.ref)
        for allowed, resources in (
            ("ssm:SendCommand", [document_arn, *instances]),
            ("ssm:GetCommandInvocation", ["*"]),
            ("ec2:DescribeAddresses", ["*"]),
        ):
            self.function.add_to_role_policy(iam.PolicyStatement(actions=[allowed], resources=resources))
