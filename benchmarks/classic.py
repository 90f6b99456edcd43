"""The classic script: four calls to EC2, no checks. `python classic.py PRODUCTION STAGING`, two allocation ids."""

from __future__ import annotations

import sys

import boto3


def main() -> None:
    ids = sys.argv[1:]
    ec2 = boto3.client("ec2")
    addresses = {each["AllocationId"]: each for each in ec2.describe_addresses(AllocationIds=ids)["Addresses"]}
    production, staging = (addresses[allocation_id] for allocation_id in ids)
    ec2.disassociate_address(AssociationId=staging["AssociationId"])
    ec2.associate_address(
        AllocationId=production["AllocationId"], InstanceId=staging["InstanceId"], AllowReassociation=True
    )
    ec2.associate_address(AllocationId=staging["AllocationId"], InstanceId=production["InstanceId"])


if __name__ == "__main__":
    main()
