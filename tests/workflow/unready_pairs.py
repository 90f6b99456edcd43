"""Pairs that a cutover refuses as they are: each makes a pair so, from a sound one."""

from collections.abc import Callable
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from local.missing_actions import set_status
from local.network_interfaces import BORDER_GROUP_TAG
from tests.unit.test_alarms import put_alarm
from tests.workflow.account import Aws
from tests.workflow.engine import REGION
from tests.workflow.web import Web, sick

ALARM = "web-is-not-ready"
Given = Callable[[Aws, Web], object]
FOREIGN_IP = "127.0.0.78"


def unhealthy(_aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick


def hanging(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, timeoutSeconds=0.1)
    web.gates["staging"].clear()


def stopped(aws: Aws, _web: Web) -> None:
    aws.ec2.stop_instances(InstanceIds=[aws.servers["tao"]])


def production_nowhere(aws: Aws, _web: Web) -> None:
    aws.disassociate(aws.production)
    aws.ec2.stop_instances(InstanceIds=[aws.servers["bittybot"]])


def foreign_address(aws: Aws, _web: Web) -> None:
    aws.associate(aws.ec2.allocate_address(Domain="vpc", Address=FOREIGN_IP)["AllocationId"], "tao")


def border_group(aws: Aws, _web: Web) -> None:
    tag: Any = {"Key": BORDER_GROUP_TAG, "Value": "us-east-1-bos-1"}
    aws.ec2.create_tags(Resources=[aws.staging], Tags=[tag])


def dual_stack_name(aws: Aws, _web: Web) -> None:
    options: dict[str, Any] = {"HostnameType": "public-dual-stack-dns-name"}
    aws.ec2.modify_public_ip_dns_name_options(NetworkInterfaceId=aws.interface_of("tao"), **options)


def second_interface(aws: Aws, _web: Web) -> None:
    (subnet, *_) = aws.ec2.describe_subnets()["Subnets"]
    interface = aws.ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]
    attached: Any = {"NetworkInterfaceId": interface["NetworkInterfaceId"], "InstanceId": aws.servers["tao"]}
    aws.ec2.attach_network_interface(**attached, DeviceIndex=1)


def placed(production: str, staging: str | None) -> Given:
    def place(aws: Aws, _web: Web) -> None:
        aws.place(production=production, staging=None)
        if staging:
            aws.associate(aws.staging, staging, private_ip=aws.second_private_ip(staging))

    return place


def own_stores(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, sharedHeader="X-Store")
    web.headers["tao"]["X-Store"] = "db-2"


def alarm(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, pair={"alarms": [ALARM]})
    put_alarm(boto3.client("cloudwatch", REGION), ALARM, "ALARM")


def impaired(check: Any) -> Given:
    def set_impaired(aws: Aws, _web: Web) -> None:
        set_status(ec2_backends[DEFAULT_ACCOUNT_ID][REGION], aws.servers["tao"], check, "impaired")

    return set_impaired


STATES: dict[str, Given] = {
    "the idle server is not healthy": unhealthy,
    "the idle server does not answer": hanging,
    "the idle server is stopped": stopped,
    "production is on no server": production_nowhere,
    "another team's address is on the idle server": foreign_address,
    "the addresses are of two network border groups": border_group,
    "the idle server's dual-stack name needs its address": dual_stack_name,
    "the idle server has two network interfaces": second_interface,
    "production is on tao, and staging is on no server": placed("tao", None),
    "production is on bittybot, and staging is on no server": placed("bittybot", None),
    "both addresses are on tao": placed("tao", "tao"),
    "both addresses are on bittybot": placed("bittybot", "bittybot"),
    "each server has its own store": own_stores,
    "an alarm is in ALARM": alarm,
    "EC2 finds the system impaired": impaired("system_status"),
    "EC2 finds the instance impaired": impaired("instance_status"),
}
"""Every state of a pair in which another test sees a plain cutover end as PreflightFailed or StagingUnhealthy."""
