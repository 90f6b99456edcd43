"""The quotas of EC2 in moto's Service Quotas, which has only those of VPC. Those of Elastic IPs and VPCs have the
default value; that of vCPUs has a higher one, because the servers of the local AWS count.

Source: AWS General Reference, "Amazon EC2 endpoints and quotas".
"""

from __future__ import annotations

from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

EVERY: dict[str, Any] = {"Unit": "None", "Adjustable": True, "GlobalQuota": False}
OF_EC2 = {"ServiceCode": "ec2", "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)"}
OF_VPC = {"ServiceCode": "vpc", "ServiceName": "Amazon Virtual Private Cloud (Amazon VPC)"}
QUOTAS: dict[str, dict[str, Any]] = {
    "L-0263D0A3": OF_EC2 | {"QuotaName": "EC2-VPC Elastic IPs", "Value": 5.0},
    "L-1216C47A": OF_EC2
    | {"QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", "Value": 64.0},
    "L-F678F1CE": OF_VPC | {"QuotaName": "VPCs per Region", "Value": 5.0},
}


def add_quotas_of_ec2() -> None:
    """Add the quotas to moto in this process, permanently. A second call changes nothing."""
    get_service_quota = ServiceQuotasBackend.get_service_quota
    if get_service_quota.__module__ == __name__:
        return

    def get(backend: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != QUOTAS.get(quota_code, {}).get("ServiceCode"):
            quota: dict[str, Any] = get_service_quota(backend, service_code, quota_code)
            return quota
        arn = f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id}:{service_code}/{quota_code}"
        return EVERY | QUOTAS[quota_code] | {"QuotaCode": quota_code, "QuotaArn": arn}

    ServiceQuotasBackend.get_service_quota = get
