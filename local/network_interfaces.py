"""AWS's network interfaces, restored in moto's EC2: each private address of an interface can have an Elastic IP.

moto has one public address per interface. In AWS, every private address of an interface can have its own Elastic IP,
and an interface has a network border group and public DNS names. `local.address_semantics` decides which call may move
which address. This module stores where each address is, and describes it.

`docs/emulators.md` lists every difference with its source.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from ipaddress import ip_address
from string import ascii_lowercase
from typing import Any, Literal

from moto.core.responses import ActionResult
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.utils import random_eip_association_id

LOCK = threading.RLock()
"""Held while an association is changed or described, because the server is threaded."""

LOCAL_ZONE = Zone("us-east-1-bos-1a", "us-east-1", "use1-bos1-az1", "local-zone")
"""A Local Zone that can have subnets. It has no default subnet, as in an account that has not opted in."""

BORDER_GROUP_TAG = "emulator:network-border-group"
"""A tag with this key puts an address or a network interface into the network border group that is its value."""

HostnameType = Literal["public-dual-stack-dns-name", "public-ipv4-dns-name", "public-ipv6-dns-name"]


def restore_network_interfaces() -> None:
    """Make moto's network interfaces behave as AWS's in this process, permanently. Call it once."""
    NetworkInterface.public_ip = property(_public_ip, _set_automatic_public_ip)
    NetworkInterface.association = property(lambda interface: _association(interface, interface.private_ip_address))
    # The names of the lists in EC2's API (DescribeInstances, DescribeNetworkInterfaces). moto prefers these names.
    NetworkInterface.instance_private_ip_address_list = property(_described_private_ips)
    NetworkInterface.network_interface_private_ip_address_list = property(_described_private_ips)
    NetworkInterface.public_ip_dns_name_options = property(_public_ip_dns_name_options)
    NetworkInterfaceBackend.delete_network_interface = _releasing_all(NetworkInterfaceBackend.delete_network_interface)
    NetworkInterfaceBackend.unassign_private_ip_addresses = _releasing_some(
        NetworkInterfaceBackend.unassign_private_ip_addresses
    )
    ElasticNetworkInterfaces.assign_private_ip_addresses = _answering_what_is_new(
        ElasticNetworkInterfaces.assign_private_ip_addresses
    )
    Instance.prep_nics = _with_all_private_ips(Instance.prep_nics)
    Instance.terminate = _parting_from_interfaces(Instance.terminate)
    # CreateSubnet finds zones beside the Regions. DescribeAvailabilityZones shows this zone only if the call names it.
    RegionsAndZonesBackend.zones["Local Zones"] = [LOCAL_ZONE]
    Zone.network_border_group = property(lambda zone: zone.name.rstrip(ascii_lowercase))
    RegionsAndZonesBackend.describe_availability_zones = _with_local_zones(
        RegionsAndZonesBackend.describe_availability_zones
    )


def _with_local_zones(describe: Callable[..., list[Zone]]) -> Callable[..., list[Zone]]:
    def describe_with_local_zones(
        backend: Any, filters: Any = None, zone_names: Any = None, zone_ids: Any = None
    ) -> list[Zone]:
        if LOCAL_ZONE.name not in (zone_names or []):
            return describe(backend, filters, zone_names, zone_ids)
        others = [name for name in zone_names if name != LOCAL_ZONE.name]
        return [LOCAL_ZONE, *(describe(backend, filters, others, zone_ids) if others else [])]

    return describe_with_local_zones


def elastic_ips(interface: Any) -> dict[str, Any]:
    """The Elastic IPs on an interface, by the private address that each is mapped to."""
    addresses: dict[str, Any] = vars(interface).setdefault("elastic_ips", {})
    return addresses


def private_ips(interface: Any) -> list[str]:
    """The private addresses of an interface, the primary one first."""
    all_of_them = [interface.private_ip_address, *(each["PrivateIpAddress"] for each in interface.private_ip_addresses)]
    return list(dict.fromkeys(all_of_them))


def put_on(address: Any, interface: Any, private_ip: str) -> None:
    """Move the Elastic IP to a private address, and displace the Elastic IP that was mapped to this address."""
    take_off(address)
    if private_ip in elastic_ips(interface):
        take_off(elastic_ips(interface)[private_ip])
    elastic_ips(interface)[private_ip] = address
    address.eni, address.mapped_to = interface, private_ip
    address.association_id = random_eip_association_id()
    if private_ip == interface.private_ip_address:
        interface.public_ip = None


def take_off(address: Any) -> None:
    """Map the Elastic IP to no private address. A running instance without a public address gets another one."""
    if not address.eni:
        return
    interface, private_ip = address.eni, address.mapped_to
    del elastic_ips(interface)[private_ip]
    address.eni = address.mapped_to = address.association_id = None
    if private_ip == interface.private_ip_address and interface.instance and interface.instance.is_running():
        interface.check_auto_public_ip()


def border_group_of_interface(interface: Any) -> str:
    """Its network border group: us-east-1 in us-east-1a, us-east-1-bos-1 in us-east-1-bos-1a, or the tag's value."""
    return tags_of(interface).get(BORDER_GROUP_TAG) or str(interface.availability_zone).rstrip(ascii_lowercase)


def border_group_of_address(address: Any) -> str:
    """The network border group that an Elastic IP was allocated in, or the tag's value."""
    allocated_in: str = getattr(address, "network_border_group", address.ec2_backend.region_name)
    return tags_of(address).get(BORDER_GROUP_TAG, allocated_in)


def tags_of(resource: Any) -> dict[str, str]:
    """The tags of an address or a network interface."""
    tags: dict[str, str] = resource.ec2_backend.tags.get(resource.id, {})
    return tags


def set_hostname_type(interface: Any, hostname_type: HostnameType) -> None:
    """Choose which of its public DNS names is the public hostname of an interface."""
    interface.hostname_type = hostname_type


def has_dual_stack_hostname(interface: Any) -> bool:
    """Whether the public hostname of an interface stands for an IPv4 address and an IPv6 address."""
    return _hostname_type(interface) == "public-dual-stack-dns-name"


# Descriptions.


def _public_ip(interface: Any) -> str | None:
    elastic_ip = elastic_ips(interface).get(interface.private_ip_address)
    public_ip: str | None = elastic_ip.public_ip if elastic_ip else vars(interface).get("automatic_public_ip")
    return public_ip


def _set_automatic_public_ip(interface: Any, public_ip: str | None) -> None:
    """Only an automatic public address changes. An Elastic IP stays through stop and start."""
    vars(interface)["automatic_public_ip"] = public_ip


def _described_private_ips(interface: Any) -> list[dict[str, Any]]:
    with LOCK:
        dns_names = {each["PrivateIpAddress"]: each.get("PrivateDnsName") for each in interface.private_ip_addresses}
        return [
            {
                "PrivateIpAddress": private_ip,
                "Primary": private_ip == interface.private_ip_address,
                "PrivateDnsName": dns_names.get(private_ip),
                "Association": _association(interface, private_ip),
            }
            for private_ip in private_ips(interface)
        ]


def _association(interface: Any, private_ip: str) -> dict[str, Any] | None:
    """The public address of a private one. An automatic one belongs to `amazon`, an Elastic IP to the account."""
    with LOCK:
        elastic_ip = elastic_ips(interface).get(private_ip)
        if elastic_ip:
            return {
                "PublicIp": elastic_ip.public_ip,
                "PublicDnsName": _ipv4_dns_name(elastic_ip.public_ip, interface),
                "IpOwnerId": interface.owner_id,
                "AllocationId": elastic_ip.allocation_id,
                "AssociationId": elastic_ip.association_id,
            }
        if private_ip == interface.private_ip_address and interface.public_ip:
            return {
                "PublicIp": interface.public_ip,
                "PublicDnsName": _ipv4_dns_name(interface.public_ip, interface),
                "IpOwnerId": "amazon",
            }
        return None


def _public_ip_dns_name_options(interface: Any) -> dict[str, str]:
    """The names that the interface's addresses allow. The hostname type says which name is its public hostname."""
    with LOCK:
        ipv4, ipv6 = interface.public_ip, next(iter(interface.ipv6_addresses), None)
        options: dict[str, str] = {"DnsHostnameType": _hostname_type(interface)}
        if ipv4:
            options["PublicIpv4DnsName"] = _ipv4_dns_name(ipv4, interface)
        if ipv6:
            options["PublicIpv6DnsName"] = _ip_dns_name(ipv6, interface=interface)
        if ipv4 and (ipv6 or has_dual_stack_hostname(interface)):
            options["PublicDualStackDnsName"] = _ip_dns_name(*filter(None, (ipv6, ipv4)), interface=interface)
        return options


def _hostname_type(interface: Any) -> HostnameType:
    hostname_type: HostnameType = getattr(interface, "hostname_type", "public-ipv4-dns-name")
    return hostname_type


def _ipv4_dns_name(ip: str, interface: Any) -> str:
    region = interface.ec2_backend.region_name
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{ip.replace('.', '-')}.{domain}.amazonaws.com"


def _ip_dns_name(*ips: str, interface: Any) -> str:
    return f"{'-'.join(f'{int(ip_address(ip)):x}' for ip in ips)}.{interface.ec2_backend.region_name}.ip.aws"


def _answering_what_is_new(assign: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """AssignPrivateIpAddresses returns only the addresses that it assigned. moto returns all of the interface."""

    def assign_and_answer(call: Any) -> Any:
        with LOCK:
            interface = call.ec2_backend.get_network_interface(call._get_param("NetworkInterfaceId"))
            before = private_ips(interface)
            assign(call)
            assigned = [{"PrivateIpAddress": each} for each in private_ips(interface) if each not in before]
            return ActionResult({"NetworkInterfaceId": interface.id, "AssignedPrivateIpAddresses": assigned})

    return assign_and_answer


# Interfaces, and the addresses on them, when instances start and end.


def _with_all_private_ips(prepare: Callable[..., None]) -> Callable[..., None]:
    """Interfaces made by RunInstances get all their private addresses, and end with the instance by default."""

    def prepare_all(instance: Any, specifications: list[dict[str, Any]], **more: Any) -> None:
        prepare(instance, specifications, **more)
        given = {int(each["DeviceIndex"]): each for each in specifications}
        for index, interface in instance.nics.items():
            specification = given.get(index, {})
            if "NetworkInterfaceId" not in specification:
                interface.delete_on_termination = specification.get("DeleteOnTermination", True)
                ips = [each["PrivateIpAddress"] for each in specification.get("PrivateIpAddresses", [])]
                count = int(specification.get("SecondaryPrivateIpAddressCount", 0))
                instance.ec2_backend.assign_private_ip_addresses(interface.id, ips, count)

    return prepare_all


def _parting_from_interfaces(terminate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Interfaces that do not end with their terminated instance are detached, and keep their addresses."""

    def terminate_and_part(instance: Any) -> Any:
        with LOCK:
            if instance.state == "terminated":
                return copy(instance.instance_state)
            previous_state = terminate(instance)
            for index, interface in list(instance.nics.items()):
                interface.public_ip = None
                if not interface.delete_on_termination:
                    instance.detach_eni(interface)
                    instance.nics[index] = interface  # moto describes the terminated instance by them
            return previous_state

    return terminate_and_part


def _releasing_all(delete: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    def delete_and_release(backend: Any, eni_id: str) -> None:
        with LOCK:
            for address in list(elastic_ips(backend.get_network_interface(eni_id)).values()):
                take_off(address)
            delete(backend, eni_id)

    return delete_and_release


def _releasing_some(unassign: Callable[..., Any]) -> Callable[..., Any]:
    def unassign_and_release(backend: Any, eni_id: str, private_ip_address: list[str] | None = None) -> Any:
        with LOCK:
            interface = backend.get_network_interface(eni_id)
            for private_ip in set(private_ip_address or ()) & elastic_ips(interface).keys():
                take_off(elastic_ips(interface)[private_ip])
            return unassign(backend, eni_id, private_ip_address)

    return unassign_and_release
