"""Does `AssociateAddress` by instance evaluate the network interface in IAM? Asked with a temporary role and dry runs.

The role may do it on everything. Its sessions may do less, by a session policy, which holds from the first call on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

import boto3
import pytest

from tests.acceptance.answers import NO_ERROR, Answers, ask, unanswered
from tests.acceptance.executions import CONFIG, until
from tests.acceptance.interrupts import Temporary
from tests.acceptance.pair_on_aws import PairOnAws

EVERYTHING, DENIED = "everything", "UnauthorizedOperation"
ACTION = "ec2:AssociateAddress"
NOT_YET = ("AccessDenied", "AuthFailure", "InvalidClientTokenId", "UnauthorizedOperation")
ROLE_SECONDS = 60  # until a new role can be assumed, and its policy holds: IAM is eventually consistent


def policy(resources: Sequence[str]) -> str:
    statement = {"Effect": "Allow", "Action": ACTION, "Resource": resources}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def lacks_of(allowed: Mapping[str, str]) -> str:
    """Why these answers say nothing: with everything allowed a dry run must pass; then a refusal is an answer."""
    codes = {what: code for what, code in allowed.items() if code != DENIED or what == EVERYTHING}
    return unanswered(codes)


@contextmanager
def temporary_role(pair: PairOnAws, root: str, temporary: Temporary, answers: Answers) -> Iterator[str]:
    """The ARN of a role that `root` may assume, and that is removed at the end. Skips if that is not permitted."""

    def refused(call: str, code: str) -> NoReturn:
        answers.add("interface-in-iam", "", lacks=f"{call}: `{code}`")
        pytest.skip(f"{call} answers {code}")

    iam, name = pair.client("iam"), f"eip-cutover-acceptance-{uuid4().hex[:12]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    text = "Exists for a minute: make acceptance asks what IAM evaluates."
    refusal = ""

    def remove() -> None:
        ask(lambda: iam.delete_role_policy(RoleName=name, PolicyName="all"))
        _, code = ask(lambda: iam.delete_role(RoleName=name))
        assert refusal or code in (NO_ERROR, "NoSuchEntity"), f"DeleteRole of {name} answers {code}"

    command = f"aws iam delete-role-policy --role-name {name} --policy-name all; aws iam delete-role --role-name {name}"
    with temporary.removed(f"The IAM role {name}", command=command, remove=remove):
        made, code = ask(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, Description=text))
        if not made:
            refusal = code
            refused("CreateRole", code)
        _, code = ask(lambda: iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(["*"])))
        if code != NO_ERROR:
            refused("PutRolePolicy", code)
        yield made["Role"]["Arn"]


def test_whether_a_permission_on_the_interface_is_needed(
    sound: PairOnAws, answers: Answers, temporary: Temporary
) -> None:
    sts, before = sound.client("sts"), sound.places()
    caller = sts.get_caller_identity()
    partition, account = caller["Arn"].split(":")[1], caller["Account"]
    prefix = f"arn:{partition}:ec2:{sound.region}:{account}:"
    address, instance = sound.allocation_ids["production"], sound.servers[str(before.staging)]
    exact = [f"{prefix}elastic-ip/{address}", f"{prefix}instance/{instance}"]

    with temporary_role(sound, f"arn:{partition}:iam::{account}:root", temporary, answers) as role:

        def dry_run(resources: Sequence[str]) -> str:
            """The answer to a dry run in a session that may do it on these resources only."""
            session: dict[str, Any] = {"RoleSessionName": "acceptance", "Policy": policy(resources)}
            assumed, code = ask(lambda: sts.assume_role(RoleArn=role, **session))
            if not assumed:
                return code
            keys = assumed["Credentials"]
            ec2 = boto3.client(
                "ec2",
                config=CONFIG,
                region_name=sound.region,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            )
            associate = partial(ec2.associate_address, AllowReassociation=True, DryRun=True)
            return ask(lambda: associate(AllocationId=address, InstanceId=instance))[1]

        with suppress(TimeoutError):
            until(lambda: dry_run(["*"]) not in NOT_YET, "the role works", seconds=ROLE_SECONDS)
        allowed = {
            EVERYTHING: dry_run(["*"]),
            "the address, the instance and any interface": dry_run([*exact, f"{prefix}network-interface/*"]),
            "only the address and the instance": dry_run(exact),
        }
    assert sound.places() == before
    answers.add(
        "interface-in-iam",
        "; ".join(f"allowed on {what}: `{code}`" for what, code in allowed.items()),
        lacks=lacks_of(allowed),
    )
