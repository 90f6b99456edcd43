"""The quota of Elastic IPs in moto's Service Quotas, which has only those of VPC. All have the default values.

Source: AWS General Reference, "Amazon EC2 endpoints and quotas".
"""

from __future__ import annotations

from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

ADDRESSES = {
    "ServiceCode": "ec2",
    "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "QuotaCode": "L-0263D0A3",
    "QuotaName": "EC2-VPC Elastic IPs",
    "Value": 5.0,
    "Unit": "None",
    "Adjustable": True,
    "GlobalQuota": False,
}


def add_quota_of_addresses() -> None:
    """Add the quota to moto in this process, permanently. A second call changes nothing."""
    get_service_quota = ServiceQuotasBackend.get_service_quota
    if get_service_quota.__module__ == __name__:
        return

    def get(backend: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) != (ADDRESSES["ServiceCode"], ADDRESSES["QuotaCode"]):
            quota: dict[str, Any] = get_service_quota(backend, service_code, quota_code)
            return quota
        arn = f"arn:aws:servicequotas:{backend.region_name}:{backend.account_id}:{service_code}/{quota_code}"
        return ADDRESSES | {"QuotaArn": arn}

    ServiceQuotasBackend.get_service_quota = get
