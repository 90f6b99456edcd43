"""Evaluates a pair at once if someone else than this stack moves or releases one of its addresses. EventBridge has such
events only if a trail of CloudTrail records them. A failed call and a dry run have an `errorCode`. Source: EventBridge
User Guide, "AWS service events delivered via AWS CloudTrail"."""

from aws_cdk import (
    Duration,
    aws_events as events,
    aws_events_targets as targets,
    aws_iam as iam,
    aws_stepfunctions as sfn,
)
from constructs import Construct

from stacks.cdk_nag import rule
from stacks.workflow.resources import Resources

LOST = "The next scheduled evaluation finds the same, and nobody would read the lost event in a queue."
VIA_CLOUDTRAIL = "AWS API Call via CloudTrail"
CALLS = ["AssociateAddress", "DisassociateAddress", "ReleaseAddress"]


class Drift(Construct):
    """The rule, and its `function`, which starts `machine` for each pair that such a call concerns."""

    def __init__(
        self, scope: Construct, construct_id: str, resources: Resources, *, machine: sfn.IStateMachine
    ) -> None:
        super().__init__(scope, construct_id)
        functions, timeout = resources.functions, Duration.seconds(30)
        self.function = functions.python_function(self, "DetectDrift", "detect_drift", timeout=timeout, lost=LOST)
        changing = functions.associate_address, functions.disassociate_address
        self.function.add_environment("OWN_ROLES", " ".join(each.role.role_arn for each in changing if each.role))
        self.function.add_environment("READINESS", machine.state_machine_arn)
        machine.grant_start_execution(self.function)
        self.function.add_to_role_policy(iam.PolicyStatement(actions=["ec2:DescribeAddresses"], resources=["*"]))
        succeeded = {"eventName": CALLS, "errorCode": [{"exists": False}]}
        pattern = events.EventPattern(source=["aws.ec2"], detail_type=[VIA_CLOUDTRAIL], detail=succeeded)
        about = "Evaluates a pair when someone else has moved one of its addresses."
        calls = [targets.LambdaFunction(self.function)]
        rule(self, "Moved", lost=LOST, description=about, event_pattern=pattern, targets=calls)
