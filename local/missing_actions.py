"""What moto's EC2 does not have: transfers of addresses to another account, public hostnames, and failed or incomplete
status checks.

Sources: EC2 API Reference, EnableAddressTransfer, DisableAddressTransfer, DescribeAddressTransfers,
ModifyPublicIpDnsNameOptions; EC2 User Guide, "View status checks for Amazon EC2 instances".
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from local.network_interfaces import LOCK, HostnameType, set_hostname_type

StatusCheck = Literal["system_status", "instance_status"]
Status = Literal["ok", "impaired", "initializing", "insufficient-data", "not-applicable"]


def add_missing_actions() -> None:
    """Add these to moto's EC2 in this process, permanently. A second call changes nothing."""
    if hasattr(ElasticIPAddresses, "describe_address_transfers"):
        return
    ElasticIPAddresses.enable_address_transfer = _enable_address_transfer
    ElasticIPAddresses.disable_address_transfer = _disable_address_transfer
    ElasticIPAddresses.describe_address_transfers = _describe_address_transfers
    ElasticNetworkInterfaces.modify_public_ip_dns_name_options = _modify_public_ip_dns_name_options
    for check in ("system_status", "instance_status"):
        setattr(Instance, check, property(_as_set(check, getattr(Instance, check).fget)))


def set_status(backend: Any, instance_id: str, check: StatusCheck, status: Status) -> None:
    """Set what DescribeInstanceStatus says about the instance from now on."""
    setattr(backend.get_instance(instance_id), f"set_{check}", status)


def _as_set(check: str, passed: Any) -> Any:
    def status_check(instance: Any) -> dict[str, Any]:
        status = getattr(instance, f"set_{check}", None)
        if status is None or instance.state_code != 16:
            as_passed: dict[str, Any] = passed(instance)
            return as_passed
        details = {"impaired": "failed", "ok": "passed"}
        return {"Status": status, "Details": [{"Name": "reachability", "Status": details.get(status, status)}]}

    return status_check


def _enable_address_transfer(call: Any) -> Any:
    parameters = call._get_params()
    call.error_on_dryrun()
    address = _address(call, parameters["AllocationId"])
    address.transfer = {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "TransferAccountId": parameters["TransferAccountId"],
        "AddressTransferStatus": "pending",
    }
    return ActionResult({"AddressTransfer": address.transfer})


def _disable_address_transfer(call: Any) -> Any:
    call.error_on_dryrun()
    address = _address(call, call._get_param("AllocationId"))
    address.transfer = {**getattr(address, "transfer", {}), "AddressTransferStatus": "disabled"}
    return ActionResult({"AddressTransfer": address.transfer})


def _describe_address_transfers(call: Any) -> Any:
    call.error_on_dryrun()
    addresses = [_address(call, each) for each in call._get_param("AllocationIds", [])]
    return ActionResult({"AddressTransfers": [each.transfer for each in addresses if hasattr(each, "transfer")]})


def _modify_public_ip_dns_name_options(call: Any) -> Any:
    parameters = call._get_params()
    interface = call.ec2_backend.get_network_interface(parameters["NetworkInterfaceId"])
    hostname_type = parameters["HostnameType"]
    if hostname_type not in get_args(HostnameType):
        raise EC2ClientError("InvalidParameterValue", f"Value ({hostname_type}) for parameter HostnameType is invalid.")
    call.error_on_dryrun()
    with LOCK:
        set_hostname_type(interface, hostname_type)
    return ActionResult({"Successful": True})


def _address(call: Any, allocation_id: str) -> Any:
    for address in call.ec2_backend.addresses:
        if address.allocation_id == allocation_id:
            return address
    raise EC2ClientError("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")
