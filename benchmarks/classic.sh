#!/bin/sh
# The classic script once more, by four calls of the AWS CLI, no checks: classic.sh PRODUCTION STAGING, allocation ids.
set -eu
addresses=$(aws ec2 describe-addresses --allocation-ids "$1" "$2" \
  --query 'Addresses[].[AllocationId, InstanceId, AssociationId]' --output text)
of() { echo "$addresses" | awk -v id="$1" -v column="$2" '$1 == id { print $column }'; }
aws ec2 disassociate-address --association-id "$(of "$2" 3)"
aws ec2 associate-address --allocation-id "$1" --instance-id "$(of "$2" 2)" --allow-reassociation
aws ec2 associate-address --allocation-id "$2" --instance-id "$(of "$1" 2)"
