"""What must be true before `make try` creates anything. Every check runs, and all that they find is listed at once."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import boto3
from botocore import exceptions

from client.account import DENIED, EXPIRED, Account, AwsError, Problem
from client.screen import plain
from commands_to_copy import aws, here
from try_servers import Pair, untagged
from try_stacks import SERVERS, STACKS, TEST_PAIR, Stack, described, ids, not_ours

INSTANCE_TYPE = "t4g.nano"
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
OLDEST_BOOTSTRAP = 6  # what the assemblies of both apps require
AGAIN = "then run `make try` again."
PERMISSIONS = "It needs credentials that may make networks, servers, roles and functions: those of an administrator."


@dataclass(frozen=True)
class Obstacle:
    """What was found, and what to do."""

    found: str
    do: str


@dataclass(frozen=True)
class Quota:
    """How many of a thing a Region may have. An existing resource of the `kind` has `each` of it already. Source:
    Service Quotas; all have the default 5."""

    thing: str
    kind: str
    service: str
    code: str
    needed: int
    each: int = 1
    default: int = 5


ADDRESSES = Quota("Elastic IP addresses", "AWS::EC2::EIP", "ec2", "L-0263D0A3", needed=2)
NETWORKS = Quota("VPCs", "AWS::EC2::VPC", "vpc", "L-F678F1CE", needed=1)
VCPUS = Quota("vCPUs of On-Demand Standard instances", "AWS::EC2::Instance", "ec2", "L-1216C47A", needed=4, each=2)
STANDARD = re.compile("(a|c|d|h|i|im|is|m|r|t|z)[0-9]")  # begins the instance types that VCPUS counts


@dataclass
class Findings:
    """The results of all checks. `zone` is where the servers are, or are to be."""

    obstacles: list[Obstacle] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stacks: dict[str, Stack] = field(default_factory=dict)
    zone: str = ""


def credentials(session: boto3.Session) -> list[Obstacle]:
    """What the environment lacks for any call to AWS."""
    obstacles = []
    if not session.region_name:
        do = "Set AWS_REGION to the Region in which the servers should be, such as AWS_REGION=eu-west-1."
        obstacles.append(Obstacle("No Region is set.", do))
    if os.environ.get("AWS_PROFILE") and os.environ.get("AWS_ACCESS_KEY_ID"):
        found = "Both AWS_PROFILE and AWS_ACCESS_KEY_ID are set, and not every program uses the same of the two."
        obstacles.append(Obstacle(found, "Unset one, so that everything is made in the same account."))
    elif session.get_credentials() is None:
        do = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        obstacles.append(Obstacle("There are no AWS credentials in the environment.", do))
    return obstacles


def unusable(error: AwsError, region: str | None) -> Obstacle:
    """Why no call to AWS works, and what to do."""
    do = (
        "Correct the AWS variables (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) or the profile, and run this again."
    )
    match error.__cause__:
        case exceptions.ProfileNotFound():
            do = "Set AWS_PROFILE to a profile of this machine. This lists them:\naws configure list-profiles"
        case exceptions.InvalidRegionError():
            do = "Set AWS_REGION to the name of a Region, such as AWS_REGION=eu-west-1."
        case _ if error.code in DENIED:
            do = PERMISSIONS
        case _ if error.code in ("InvalidClientTokenId", "UnrecognizedClientException"):
            enable = aws("us-east-1", "account enable-region", f"--region-name {region}")
            do = (
                f"Renew the credentials, or use others. If they work in other Regions, {region} is not enabled in this "
                f"account: use another Region (AWS_REGION), or enable it, which takes minutes to hours:\n{enable}"
            )
        case _ if error.code in EXPIRED:
            do = "Then run this again."
        case _ if error.is_transient:
            do = (
                f"Is {region} the name of a Region (AWS_REGION)? Does this machine reach the Internet, perhaps through "
                "a proxy (HTTPS_PROXY)? Is AWS_ENDPOINT_URL set by mistake? Then run this again."
            )
    return Obstacle(reason(error), do)


def check(account: Account) -> Findings:
    """Make every check. Changes nothing. If AWS does not permit a check, or does not know its subject, the check
    becomes a warning, except where `make try` cannot do without the answer."""
    findings = Findings()

    def required(found: Callable[[], Iterator[Obstacle]]) -> None:
        try:
            findings.obstacles += found()
        except AwsError as error:
            findings.obstacles.append(Obstacle(reason(error), PERMISSIONS))
        except Problem as error:
            do = f"Remove the stacks, {AGAIN}\n{here(account.region, 'make try-destroy')}"
            findings.obstacles.append(Obstacle(str(error), do))

    def optional(subject: str, found: Callable[[], Iterator[Obstacle]]) -> None:
        try:
            findings.obstacles += found()
        except AwsError as error:
            findings.warnings.append(f"Not checked: {subject}. {reason(error)}")

    required(lambda: _stacks(account, findings))
    optional("whether the CDK is bootstrapped", lambda: _bootstrap(account))
    required(lambda: _zone(account, findings))
    required(lambda: _existing_pair(account, findings))
    for quota in (ADDRESSES, NETWORKS, VCPUS):
        optional(f"the quota of {quota.thing}", lambda quota=quota: _quota(account, findings, quota))  # type: ignore[misc]
    return findings


def reason(error: AwsError) -> str:
    """What AWS said. The client's own permissions, which the client's message refers to, are not enough here."""
    return str(error).replace("; docs/client.md lists the permissions", "")


def _stacks(account: Account, findings: Findings) -> Iterator[Obstacle]:
    for name in STACKS:
        stack = findings.stacks[name] = described(account, name)
        if not stack.exists:
            continue
        state = f"{stack.status}: {plain(stack.reason, 300)}" if stack.reason else stack.status
        if stack.is_foreign:
            remove = aws(account.region, "cloudformation delete-stack", f"--stack-name {name}")
            do = f"Use another Region (AWS_REGION) or account. If nobody needs that stack, delete it:\n{remove}"
            yield Obstacle(not_ours(stack), do)
        elif stack.is_busy:
            yield Obstacle(f"CloudFormation is at work on the stack {name} ({state}).", "Wait some minutes, " + AGAIN)
        elif stack.is_broken:
            do = f"Remove it, {AGAIN}\n{here(account.region, 'make try-destroy')}"
            yield Obstacle(f"The stack {name} is broken ({state}).", do)


def _bootstrap(account: Account) -> Iterator[Obstacle]:
    do = f"Bootstrap it, once, {AGAIN}\n{here(account.region, 'make bootstrap')}"
    try:
        version = account.call("ssm", "get_parameter", Name=BOOTSTRAP)["Parameter"]["Value"]
    except AwsError as error:
        if error.code != "ParameterNotFound":
            raise
        yield Obstacle(f"The CDK is not bootstrapped in Region {account.region} of this account.", do)
        return
    if version.isdecimal() and int(version) < OLDEST_BOOTSTRAP:
        yield Obstacle(f"The CDK's bootstrap has version {version}, and {OLDEST_BOOTSTRAP} is needed.", do)


def _zone(account: Account, findings: Findings) -> Iterator[Obstacle]:
    """The zone of the existing subnet: in another zone, CloudFormation would replace the servers."""
    if subnets := ids(account, findings.stacks.get(SERVERS, Stack(SERVERS)), "AWS::EC2::Subnet"):
        filters = [{"Name": "subnet-id", "Values": subnets}]
        for subnet in account.call("ec2", "describe_subnets", Filters=filters)["Subnets"]:
            findings.zone = subnet["AvailabilityZone"]
            return
    # Without a filter on the type, Local Zones and Wavelength Zones would be here, too.
    usual = [{"Name": "zone-type", "Values": ["availability-zone"]}, {"Name": "state", "Values": ["available"]}]
    zones = {
        each["ZoneName"]
        for each in account.call("ec2", "describe_availability_zones", Filters=usual)["AvailabilityZones"]
    }
    offered = {"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": [INSTANCE_TYPE]}]}
    pages = account.pages("ec2", "describe_instance_type_offerings", **offered)
    suitable = sorted(zones & {each["Location"] for page in pages for each in page["InstanceTypeOfferings"]})
    if suitable:
        findings.zone = suitable[0]
        return
    found = f"No available zone of Region {account.region} has the instance type {INSTANCE_TYPE} (arm64)."
    yield Obstacle(found, "Use another Region: set AWS_REGION.")


def _existing_pair(account: Account, findings: Findings) -> Iterator[Obstacle]:
    """Of the stack of an earlier run: is everything in it still a test pair that runs?"""
    stack = findings.stacks.get(SERVERS, Stack(SERVERS))
    if not stack.outputs or not stack.is_ours or stack.is_busy or stack.is_broken:
        return
    pair = Pair.of(stack)
    if without_tag := untagged(account, pair):
        found = f"{', '.join(without_tag)} of the stack {SERVERS} is not tagged as a test pair."
        options = f"--tags Key={TEST_PAIR},Value=true --resources {' '.join(without_tag)}"
        tag = aws(account.region, "ec2 create-tags", options)
        do = f"If it may be moved, broken and repaired, tag it, {AGAIN}\n{tag}"
        yield Obstacle(found, do)
    instances = account.instances(pair.instances.values())
    for name, instance in pair.instances.items():
        state = instances[instance]["State"]["Name"] if instance in instances else "terminated"
        if state in ("stopped", "stopping"):
            start = aws(account.region, "ec2 start-instances", f"--instance-ids {instance}")
            yield Obstacle(f"The server {name} ({instance}) is {state}.", f"Start it, {AGAIN}\n{start}")
        elif state not in ("running", "pending"):
            do = f"Remove what is left of the pair, {AGAIN}\n{here(account.region, 'make try-destroy')}"
            yield Obstacle(f"The server {name} ({instance}) is {state}.", do)


def _quota(account: Account, findings: Findings, quota: Quota) -> Iterator[Obstacle]:
    own = len(ids(account, findings.stacks.get(SERVERS, Stack(SERVERS)), quota.kind))
    needed = max(0, quota.needed - own * quota.each)
    if needed == 0:
        return
    used = _used(account, quota)
    most, unknown = quota.default, ""
    try:
        code = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        most = int(account.call("service-quotas", "get_service_quota", **code)["Quota"]["Value"])
    except AwsError as error:
        if error.code != "NoSuchResourceException":  # which means that the account has the default
            unknown = reason(error)
    if used + needed <= most:
        return
    has = f"Region {account.region} has {used} {quota.thing}, and the quota is {most}"
    found = f"Too few {quota.thing} are left: {has}. Needed: {needed} more."
    if unknown:
        findings.warnings.append(f"{found} {most} is the default: the account's own quota is unknown. {unknown}")
        return
    options = f"--service-code {quota.service} --quota-code {quota.code} --desired-value {used + needed}"
    ask = aws(account.region, "service-quotas request-service-quota-increase", options)
    yield Obstacle(
        found, f"Remove what is not needed, use another Region (AWS_REGION), or ask for a higher quota:\n{ask}"
    )


def _used(account: Account, quota: Quota) -> int:
    if quota is NETWORKS:
        return sum(len(page["Vpcs"]) for page in account.pages("ec2", "describe_vpcs"))
    if quota is ADDRESSES:
        # Addresses that the account brought itself do not count.
        shown = account.call("ec2", "describe_addresses")["Addresses"]
        return sum(not each.get("PublicIpv4Pool", "").startswith("ipv4pool-") for each in shown)
    active = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    instances = [
        instance["InstanceType"]
        for page in account.pages("ec2", "describe_instances", Filters=active)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        # Spot Instances have a quota of their own, and Dedicated Hosts, too.
        if not instance.get("InstanceLifecycle") and instance.get("Placement", {}).get("Tenancy") != "host"
    ]
    kinds = Counter(kind for kind in instances if STANDARD.match(kind))
    if not kinds:
        return 0
    pages = account.pages(
        "ec2", "describe_instance_types", Filters=[{"Name": "instance-type", "Values": sorted(kinds)}]
    )
    types = [each for page in pages for each in page["InstanceTypes"]]
    return sum(each["VCpuInfo"]["DefaultVCpus"] * kinds[each["InstanceType"]] for each in types)
