"""The functions of the workflows, one per kind of step, each with a role that allows that step and nothing else."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import ceil
from typing import Any, TypeVar, cast

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack, Token, aws_iam as iam, aws_lambda as lambda_
from aws_cdk.aws_dynamodb import ITable
from aws_cdk.aws_logs import LogGroup, RetentionDays
from constructs import Construct

from domain.lock import CHANGE_SECONDS, LAST_CALL_SECONDS
from domain.pair import Pair as ReadPair
from domain.release_commands import HOOKS, document, steps
from stacks.configuration.names import Names
from stacks.configuration.pairs import BAKE_SHARE_SECONDS, Pair, Pairs, Vpc
from stacks.configuration.problems import InvalidConfiguration, line
from stacks.functions.bundle import lambda_code

T = TypeVar("T")
# One call to EC2 ends within 21 s (`CONFIG` in `lambdas/aws/calls.py`), a step that describes has a few quick ones.
DESCRIBE_TIMEOUT = Duration.seconds(30)
# A step that changes something tries each call once, and gives up early: the workflow tries the step again.
CHANGE_TIMEOUT = Duration.seconds(CHANGE_SECONDS)
MEASURE_GAP_TIMEOUT = Duration.seconds(30)  # it measures for 10 s (`lambdas/measure_gap.py`), then saves the result
MEASURE_GAP_MEBIBYTES = 256  # half as much as the other functions, because it mostly waits
COMMANDS_MEBIBYTES = 192  # even the longest deployment then costs less than a third of a cent
# The delivery of a command takes at most 60 s. A command that does not end is cancelled, and waited for.
COMMAND_RESERVE_SECONDS = 90
# How long after its end an execution's call may still change an address: a cold start, the timeout, and a reserve.
LAST_CALL = Duration.seconds(LAST_CALL_SECONDS)
# So long after a move, production may still lead to its former server or to none: people report 5 to 10 s.
MOVING_SECONDS = 10  # AWS publishes no bound
LONGEST_SECONDS = 900  # the longest time that Lambda lets a function run
# The actions that describe addresses, servers and offers of addresses; they accept no other resource than "*".
PICTURE = [
    "ec2:DescribeAddresses", "ec2:DescribeAddressTransfers", "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces",
]  # fmt: skip
INTERFACES_OF_LAMBDA = [
    "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
]  # fmt: skip
COMMANDS = ["ssm:CancelCommand", "ssm:GetCommandInvocation", "ssm:ListCommands"]  # no other resource than "*", either
# As few policies as IAM's quotas allow name exactly the resources of an action. White space does not count. Source:
# IAM User Guide, "IAM and AWS STS quotas".
MOST_MANAGED_POLICIES = 10  # per role, unless AWS has raised the quota of the account
MANAGED_CHARACTERS = 6_144
INLINE_CHARACTERS = 8_000  # of 10,240 for all inline policies of a role; the rest is for what every function may do
FUNCTIONS_OF_A_POLICY = 23  # the longest ARN of a function with an alias has 253 characters, and two quotes and a comma
AROUND_THE_RESOURCES = 120  # {"Version": …, "Statement": [{"Action": …, "Effect": …, "Resource": […]}]}
# The longest values of a partition, a Region and an account, used if they are not known before the deployment.
LONGEST_NAMES = ("aws-us-gov", "us-isof-south-1", "123456789012")


def changed_resources(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """The resources that may be disassociated, and those that may be associated, as the ends of EC2's ARNs."""
    by_server = [pair.networkInterfaces or {} for pair in pairs]
    configured = [f"network-interface/{interface}" for each in by_server for interface in each.values()]
    interfaces = configured if all(by_server) else ["network-interface/*"]  # docs/decisions/0006
    disassociated = [*(f"elastic-ip/{pair.staging}" for pair in pairs), *interfaces]
    servers = [f"instance/{server}" for pair in pairs for server in pair.servers.values()]
    return disassociated, [*disassociated, *servers, *(f"elastic-ip/{pair.production}" for pair in pairs)]


def used_by_commands(pairs: Sequence[ReadPair]) -> tuple[list[str], list[str]]:
    """The servers that get commands, as the ends of EC2's ARNs, and the functions of hooks, by their ARNs."""
    servers = [f"instance/{server.instance_id}" for pair in pairs if document(pair) for server in pair.servers]
    each = (step.function for pair in pairs for moment in HOOKS for step in steps(pair, moment))
    return servers, sorted({function for function in each if function})


def longest_bake(pair: Pair) -> int:
    """The seconds of a call of a bake, with the probes after its end that decide whether the server is unhealthy."""
    bake = min(pair.bakeSeconds, BAKE_SHARE_SECONDS)
    return bake + max(check.probes_after_a_bake for check in pair.healthCheck) if bake else 0


def python_function(scope: Construct, name: str, module: str, *, timeout: Duration, **options: Any) -> lambda_.Function:
    """The function whose handler is in `module`, with `options` of the CDK: its code, its environment, its memory."""
    kept = RetentionDays.SIX_MONTHS
    log_group = LogGroup(scope, f"{name}Logs", retention=kept, removal_policy=RemovalPolicy.DESTROY)
    role = iam.Role(scope, f"{name}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return lambda_.Function(
        scope,
        name,
        handler=f"{module}.handler",
        timeout=timeout,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        role=role,
        log_group=log_group,
        # What Lambda itself logs, such as an uncaught exception, is one line of JSON too.
        logging_format=lambda_.LoggingFormat.JSON,
        tracing=lambda_.Tracing.ACTIVE,
        **{"memory_size": 512} | options,
    )


class Functions(Construct):
    """The functions. `in_vpc` is a second `health_check`, in a VPC, if a pair is checked there. `bakes` says whether a
    pair has a bake, and `longest_bake_seconds` how long the longest is. `run_commands` is None if no pair has `deploy`
    or hooks. `approves` says whether a pair waits for approval, `evaluates` whether a pair has `readiness`, and
    `moments` which moments of a release have something to run. `python_function` makes another from the same asset."""

    def __init__(self, scope: Construct, names: Names, pairs: Pairs, lock_table: ITable, vpc: Vpc | None) -> None:
        super().__init__(scope, "Functions")
        self._names = names
        environment = {"POWERTOOLS_SERVICE_NAME": names.cutover, "POWERTOOLS_METRICS_NAMESPACE": names.stack}
        self.python_function = partial(python_function, code=lambda_code(pairs), environment=environment)
        self._function = partial(self.python_function, self)
        checks = [check for pair in pairs.values() for check in pair.healthCheck]
        probing = max(check.deadlineSeconds for check in checks)  # all have come to a verdict by then
        production = max(probing + MOVING_SECONDS, *(longest_bake(pair) for pair in pairs.values()))
        self.longest_bake_seconds = max(pair.bakeSeconds for pair in pairs.values())
        self.bakes = self.longest_bake_seconds > 0
        self.evaluates = any(pair.readiness for pair in pairs.values())
        self.describe_addresses = self._function("DescribeAddresses", "describe_addresses", timeout=DESCRIBE_TIMEOUT)
        self.describe_restored = self._function("DescribeRestored", "describe_restored", timeout=DESCRIBE_TIMEOUT)
        checking = Duration.seconds(min(probing + 100, LONGEST_SECONDS))
        self.check_servers = self._function("CheckServers", "check_servers", timeout=checking)
        self.health_check = self._function("HealthCheck", "health_check", timeout=Duration.seconds(production + 50))
        change = partial(self._function, timeout=CHANGE_TIMEOUT)
        self.disassociate_address = change("DisassociateAddress", "disassociate_address")
        self.associate_address = change("AssociateAddress", "associate_address")
        # Called asynchronously, once. It saves its result in the item of the lock, and may write nothing else.
        measuring = partial(self._function, timeout=MEASURE_GAP_TIMEOUT, memory_size=MEASURE_GAP_MEBIBYTES)
        self.measure_gap = measuring("MeasureGap", "measure_gap")
        self.measure_gap.configure_async_invoke(retry_attempts=0, max_event_age=Duration.minutes(1))
        private = any(check.via == "private" for check in checks)
        self.in_vpc = self._health_check_in(vpc, Duration.seconds(probing + 30)) if vpc and private else None
        minutes = [pair.approval.timeoutMinutes for pair in pairs.values() if pair.approval]
        self.approves, self.longest_approval_seconds = bool(minutes), 60 * max(minutes, default=0)
        read = [pair.as_read(name) for name, pair in pairs.items()]
        self.moments = {moment for pair in read for moment in ("deploy", *HOOKS) if steps(pair, moment)}
        self.run_commands = self._run_commands(read) if self.moments else None
        # Without the function, nobody could end a command of an earlier version of the stack.
        self.no_command_runs = " AND attribute_not_exists(commandRuns)" if self.run_commands else ""

        looking = (self.describe_addresses, self.check_servers, self.health_check)
        changing = (self.disassociate_address, self.associate_address)
        alarmed = looking if any(pair.alarms for pair in pairs.values()) else ()
        allowed = [(self.describe_addresses, action) for action in PICTURE]
        allowed += [(self.check_servers, "ec2:DescribeInstanceStatus")]
        allowed += [(function, "cloudwatch:DescribeAlarms") for function in alarmed]
        for function in (self.describe_restored, *changing, self.health_check):
            allowed.append((function, "ec2:DescribeAddresses"))
        for function, action in allowed:
            function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=["*"]))
        # Any stack of the account may have made an address or a server; only the tags of both say which.
        stacks = Stack.of(self).format_arn(service="cloudformation", resource="stack", resource_name="*")
        reads = iam.PolicyStatement(actions=["cloudformation:GetTemplate"], resources=[stacks])
        self.describe_addresses.add_to_role_policy(reads)
        # Is the lock still held, or a rollback requested? DescribeAddresses reads the record of the pair.
        commands = [self.run_commands] if self.run_commands else []
        reading = [(function, "dynamodb:GetItem") for function in (*looking, *changing, *commands)]
        writing = [(function, "dynamodb:UpdateItem") for function in (self.measure_gap, *commands)]
        for function, action in (*reading, *writing):
            function.add_environment("LOCK_TABLE", lock_table.table_name)
            lock_table.grant(function, action)
        must_fit(self, [*pairs.values()], lambda first: (changed_resources(first)[1], []))
        disassociated, associated = changed_resources([*pairs.values()])
        allow_exactly(self.disassociate_address.role, "ec2:DisassociateAddress", disassociated)
        allow_exactly(self.associate_address.role, "ec2:AssociateAddress", associated)

    @property
    def all(self) -> list[lambda_.Function]:
        return [child for child in self.node.children if isinstance(child, lambda_.Function)]

    def _health_check_in(self, vpc: Vpc, timeout: Duration) -> lambda_.Function:
        """The same function in a VPC, by the ids of its subnets: the CDK's own construct would have to look up the VPC.
        Lambda itself must create network interfaces there; the function's code may not. Source: Lambda Developer Guide,
        "Giving Lambda functions access to resources in an Amazon VPC"."""
        function = self._function("HealthCheckInVpc", "health_check", timeout=timeout)
        ids: dict[str, Any] = {"subnet_ids": vpc.subnetIds, "security_group_ids": vpc.securityGroupIds}
        cast(lambda_.CfnFunction, function.node.default_child).vpc_config = lambda_.CfnFunction.VpcConfigProperty(**ids)
        statement = partial(iam.PolicyStatement, actions=INTERFACES_OF_LAMBDA, resources=["*"])
        by_code = {"Null": {"lambda:SourceFunctionArn": "false"}}
        function.add_to_role_policy(statement())
        function.add_to_role_policy(statement(effect=iam.Effect.DENY, conditions=by_code))
        return function

    def _run_commands(self, pairs: Sequence[ReadPair]) -> lambda_.Function:
        """It may send the commands of this stack's documents to the servers of the pairs that have commands, and call
        the functions of their hooks. It does not run before the documents are there."""
        each = (steps(pair, moment) for pair in pairs for moment in self.moments)
        longest = max(sum(step.timeout_seconds for step in moment) for moment in each)
        timeout = Duration.seconds(min(longest + COMMAND_RESERVE_SECONDS, LONGEST_SECONDS))
        function = self._function("RunCommands", "run_commands", timeout=timeout, memory_size=COMMANDS_MEBIBYTES)
        function.add_environment("DOCUMENTS", self._names.documents)
        must_fit(self, pairs, used_by_commands)
        servers, called = used_by_commands(pairs)
        allow_exactly(function.role, "ssm:SendCommand", servers, called)
        if servers:
            function.node.add_dependency(self._documents(pairs))
            ours = f"{self._names.documents}*"
            arn = Stack.of(self).format_arn(service="ssm", resource="document", resource_name=ours)
            for actions, resource in ((["ssm:SendCommand"], arn), (COMMANDS, "*")):
                function.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        return function

    def _documents(self, pairs: Sequence[ReadPair]) -> Construct:
        """The documents of Systems Manager: each has the commands of a pair, and pairs with the same commands share
        one. A document is never changed: other commands are another document, with another name. The content is text,
        so that a command can be sent with the hash of this very text. CloudFormation also takes text (Template
        Reference, AWS::SSM::Document); the CDK's own class takes only an object."""
        made = Construct(self, "Documents")
        for key, content in {each.key: each.content for pair in pairs if (each := document(pair))}.items():
            properties = {
                "Name": f"{self._names.documents}{key}", "Content": content, "DocumentFormat": "JSON",
                "DocumentType": "Command", "TargetType": "/AWS::EC2::Instance", "UpdateMethod": "Replace",
            }  # fmt: skip
            CfnResource(made, key, type="AWS::SSM::Document", properties=properties)
        return made


def policy_portions(scope: Construct, resources: Iterable[str]) -> list[list[str]]:
    """The resources (`elastic-ip/eipalloc-…`), a list for each policy: an inline one, then managed ones."""
    stack = Stack.of(scope)
    where = zip((stack.partition, stack.region, stack.account), LONGEST_NAMES, strict=True)
    around = len('arn::ec2:::"",') + sum(len(longest if Token.is_unresolved(it) else it) for it, longest in where)
    divided, room = list[list[str]](), 0
    for resource in resources:
        length = around + len(resource)
        if length > room:
            room = (MANAGED_CHARACTERS if divided else INLINE_CHARACTERS) - AROUND_THE_RESOURCES
            divided.append([])
        divided[-1].append(resource)
        room -= length
    return divided


def must_fit(scope: Construct, pairs: Sequence[T], named: Callable[[Sequence[T]], tuple[list[str], list[str]]]) -> None:
    """Raises InvalidConfiguration if the resources and functions of the pairs do not fit into a role's policies."""

    def fit(count: int) -> bool:
        resources, functions = named(pairs[:count])
        invoking = ceil(len(functions) / FUNCTIONS_OF_A_POLICY)
        return max(len(policy_portions(scope, resources)) - 1, 0) + invoking <= MOST_MANAGED_POLICIES

    # Not the first number that is too many: a later pair without networkInterfaces replaces all interfaces.
    if (fitting := next(filter(fit, range(len(pairs), 0, -1)))) < len(pairs):
        functions = len(named(pairs)[1])
        found = f"{len(pairs)} pairs{f' with {functions} functions of hooks' if functions else ''}"
        allowed = f"the first {fitting} of them, because the IAM policies of one role cannot name more"
        raise InvalidConfiguration([line("pairs", found, allowed)])


def allow_exactly(role: iam.IRole | None, action: str, resources: Iterable[str], functions: Sequence[str] = ()) -> None:
    """The action on the resources, and calls of the functions, by ARN: managed policies, as inline ones may be full."""
    assert isinstance(role, iam.Role)  # noqa: S101  # all roles are of this stack
    for first in range(0, len(functions), FUNCTIONS_OF_A_POLICY):
        called = functions[first : first + FUNCTIONS_OF_A_POLICY]
        statement = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=called)
        iam.ManagedPolicy(role, f"Functions{first}", statements=[statement], roles=[role])
    arn = partial(Stack.of(role).format_arn, service="ec2")
    for number, portion in enumerate(policy_portions(role, resources)):
        statement = iam.PolicyStatement(actions=[action], resources=[arn(resource=resource) for resource in portion])
        kind = iam.ManagedPolicy if number else iam.Policy
        kind(role, f"Addresses{number or ''}", statements=[statement], roles=[role])
