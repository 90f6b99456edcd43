"""Why what cdk-nag finds in our stacks stays: the paths of constructs below the stack, the findings there, the reason.
All are patterns that match as a whole. `test_nag.py` fails for a finding or a reason without the other."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    path: str
    finding: str
    text: str

    def explains(self, path: str, finding: str) -> bool:
        return bool(re.fullmatch(self.path, path) and re.fullmatch(self.finding, finding))


def _wildcard(resource: str) -> str:
    return rf"AwsSolutions::AwsSolutions-IAM5\[Resource::{resource}\]"


def _action(action: str) -> str:
    return rf"AwsSolutions::AwsSolutions-IAM5\[Action::{action}\]"


EXECUTION = r"arn:\S+:states:\S+:execution:"
ANY_EXECUTION = _wildcard(rf"{EXECUTION}[a-z-]+:\*")
ONE_MACHINE = "The executions of this one state machine, under any name."
ARTIFACTS = "The objects of this pipeline's own bucket, and the calls that the CDK grants an action on them."
NEEDED_ROLES = "Pipeline/(Role|Source/Source/CodePipelineActionRole)"
RUNTIME = "Python 3.13 is a current runtime of Lambda. A newer runtime follows when the handlers are tested with it."
ANY_FUNCTION = "(Functions|Monitoring|Evaluations)/[A-Za-z]+"
AWAITED = "Only the workflow calls it, and waits for its answer: there is no event that could get lost."
NOT_MEASURED = (
    "If a measurement fails, one outcome has no gap. Nobody would read the lost event in a queue, and it must not be "
    "tried again after the addresses have changed."
)
LOST_OUTCOME = (
    "If an event is lost, a point is missing in a graph. The outcome is still in the execution and in the workflow's "
    "notification, and nobody would read the event in a queue."
)
LOST_REPORT = "The next call, five minutes later, reports the same locks."
LOST_MOVE = "The next scheduled evaluation finds the same, and nobody would read the lost event in a queue."
NO_FUNCTION_QUEUE, NO_RULE_QUEUE = "Serverless::Serverless-LambdaDLQ", "Serverless::Serverless-EventBusDLQ"

REASONS = [
    Reason(f"{ANY_FUNCTION}/Resource", "AwsSolutions::AwsSolutions-L1", RUNTIME),
    Reason(f"{ANY_FUNCTION}/Resource", "Serverless::Serverless-LambdaLatestVersion", RUNTIME),
    Reason("Functions/(?!MeasureGap)[A-Za-z]+/Resource", NO_FUNCTION_QUEUE, AWAITED),
    Reason("Functions/MeasureGap/Resource", NO_FUNCTION_QUEUE, NOT_MEASURED),
    Reason(
        "Functions/MeasureGap/EventInvokeConfig/Resource",
        "Serverless::Serverless-LambdaAsyncFailureDestination",
        NOT_MEASURED,
    ),
    Reason("Monitoring/ReportOutcome/Resource", NO_FUNCTION_QUEUE, LOST_OUTCOME),
    Reason("Monitoring/Ended/Resource", NO_RULE_QUEUE, LOST_OUTCOME),
    Reason("Monitoring/ReportLocks/Resource", NO_FUNCTION_QUEUE, LOST_REPORT),
    Reason("Monitoring/EveryFiveMinutes/Resource", NO_RULE_QUEUE, LOST_REPORT),
    Reason("Evaluations/StartEvaluations/Resource", NO_FUNCTION_QUEUE, LOST_MOVE),
    Reason("Evaluations/Moved/Resource", NO_RULE_QUEUE, LOST_MOVE),
    Reason(
        "Workflow/Begun/Resource",
        NO_RULE_QUEUE,
        "If a warm-up is lost, the measurement begins later. Nobody waits for it, or would read it in a queue.",
    ),
    Reason(
        "Repair/(Ended|Failed)/Resource",
        NO_RULE_QUEUE,
        "If an event is lost, the next execution takes over the dead lock; nobody would read the event in a queue.",
    ),
    Reason(
        "Outcomes(MailedAlarms)?/[^/]+/Resource",
        "Serverless::Serverless-SNSRedrivePolicy",
        "The execution or the alarm has the same information as the mail; nobody would read a queue of lost mails.",
    ),
    Reason(
        f"{ANY_FUNCTION}Role/DefaultPolicy/Resource",
        _wildcard(r"\*"),
        "xray:Put*, ec2:Describe*, the actions by which Lambda puts a function into a VPC, and the actions of Systems "
        "Manager on a command that was sent accept no other resource. cloudwatch:DescribeAlarms shows composite alarms "
        "only if the permission is for all alarms (CloudWatch API Reference).",
    ),
    Reason(
        "Functions/DescribeAddressesRole/DefaultPolicy/Resource",
        _wildcard(r"arn:\S+:cloudformation:\S+:stack/\*"),
        "Any stack of the account may have made an address or a server; only the tags of both say which.",
    ),
    Reason(
        "Functions/(Dis)?[Aa]ssociateAddressRole/Addresses/Resource",
        _wildcard(r"arn:\S+:ec2:\S+:network-interface/\*"),
        "The ids of the servers' network interfaces are not configured; the addresses and servers of the same "
        "statement are exact (docs/decisions/0006-any-network-interface.md).",
    ),
    Reason(
        "Functions/RunCommandsRole/DefaultPolicy/Resource",
        _wildcard(r"arn:\S+:ssm:\S+:document/[a-z-]+\.\*"),
        "The documents of this stack, whose names end with the hash of their commands; no other stack's begin so.",
    ),
    Reason("Monitoring/ReportOutcomeRole/DefaultPolicy/Resource", ANY_EXECUTION, ONE_MACHINE),
    Reason("(Workflow|Repair)/StateMachine/Role/DefaultPolicy/Resource", ANY_EXECUTION, ONE_MACHINE),
    Reason(
        "(Workflow|Repair)/StateMachine/Role/DefaultPolicy/Resource",
        _wildcard(r"\*"),
        "Logging and tracing need logs:*LogDelivery and xray:Put*, which accept no other resource (Step Functions "
        "Developer Guide, logging to CloudWatch Logs and tracing with X-Ray).",
    ),
    Reason(
        "(Workflow|Repair)/StateMachine/Role/DefaultPolicy/Resource",
        _wildcard(r"<Functions[A-Za-z0-9]+\.Arn>:\*"),
        "Versions of this one function, which has none.",
    ),
    Reason(
        "(Workflow|Repair)/StateMachine/Role/DefaultPolicy/Resource",
        _action(r"kms:GenerateDataKey\*"),
        "SNS requires it of everyone who publishes to an encrypted topic (docs/decisions/0014). It is allowed only "
        "through SNS, and only with the key of this topic.",
    ),
    Reason("CiAccess/Role/DefaultPolicy/Resource", ANY_EXECUTION, ONE_MACHINE),
    Reason(
        "CiAccess/Role/DefaultPolicy/Resource",
        _wildcard(r"\*"),
        "ec2:DescribeAddresses accepts no other resource (Service Authorization Reference, Amazon EC2).",
    ),
    Reason(
        "CiAccess/Role/DefaultPolicy/Resource",
        _wildcard(r"arn:\S+:cloudformation:\S+:stack/[A-Za-z0-9-]+/\*"),
        "CloudFormation generates the last part of a stack's ARN; the name before it is exact.",
    ),
    Reason(
        "CiAccess/Role/DefaultPolicy/Resource",
        _wildcard(r"arn:\S+:ssm:\S+:parameter/[a-z-]+/pairs/\*"),
        "The pairs that this stack publishes under a path of its own: ids and names, nothing secret.",
    ),
    Reason(
        "Release/Artifacts/Resource",
        "AwsSolutions::AwsSolutions-S1",
        "Only this pipeline uses the bucket, for copies that expire; CloudTrail shows who starts the pipeline.",
    ),
    Reason(
        "Release/NewObject/Resource",
        NO_RULE_QUEUE,
        "If a start is lost, a person can start the pipeline again, and the next object starts it too.",
    ),
    Reason(f"Release/{NEEDED_ROLES}/DefaultPolicy/Resource", _wildcard(r"<ReleaseArtifacts\w+\.Arn>/\*"), ARTIFACTS),
    Reason(
        f"Release/{NEEDED_ROLES}/DefaultPolicy/Resource",
        _action(r"s3:(Abort|DeleteObject|GetBucket|GetObject|List)\*"),
        ARTIFACTS,
    ),
    Reason(
        "Release/Pipeline/Release/Cutover/CodePipelineActionRole/DefaultPolicy/Resource",
        _wildcard(rf"{EXECUTION}[a-z-]+:pipeline\*"),
        "The executions that this action starts, by their prefix; CodePipeline generates the rest of the name.",
    ),
    # The test pair of `make try`, in examples/two-servers.
    Reason(
        "Network/Vpc/Resource",
        "AwsSolutions::AwsSolutions-VPC7",
        "Flow logs cost money, and nobody reads those of two servers that live for an hour.",
    ),
    Reason(
        "Network/SecurityGroup/Resource",
        "AwsSolutions::AwsSolutions-EC23",
        "Users, and the function of the health check, come from anywhere. Only the port of the web server is open.",
    ),
    Reason(
        "(bittybot|tao)/Instance",
        "AwsSolutions::AwsSolutions-EC28",
        "Detailed monitoring costs money, and the cutover does not need it.",
    ),
    Reason(
        "(bittybot|tao)/Instance",
        "AwsSolutions::AwsSolutions-EC29",
        "The servers are there to be tried out, and `make try-destroy` terminates them.",
    ),
    Reason(
        "Role/Resource",
        r"AwsSolutions::AwsSolutions-IAM4\[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore\]",
        "AWS's list of what the agent of Systems Manager needs, which changes with the agent.",
    ),
]
