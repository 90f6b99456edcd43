"""The documents of Systems Manager: each has the commands of a pair, and pairs with the same commands share one."""

from collections.abc import Iterable

from aws_cdk import CfnResource
from constructs import Construct

from domain.pair import Pair
from domain.release_commands import document
from stacks.configuration.names import Names


def documents(scope: Construct, names: Names, pairs: Iterable[Pair]) -> Construct:
    """A document is never changed: other commands are another document, with another name. The content is text, so that
    a command can be sent with the hash of this very text. CloudFormation also takes text (Template Reference,
    AWS::SSM::Document); the CDK's own class takes only an object."""
    made = Construct(scope, "Documents")
    for key, content in {each.key: each.content for pair in pairs if (each := document(pair))}.items():
        properties = {
            "Name": f"{names.documents}{key}", "Content": content, "DocumentFormat": "JSON",
            "DocumentType": "Command", "TargetType": "/AWS::EC2::Instance", "UpdateMethod": "Replace",
        }  # fmt: skip
        CfnResource(made, key, type="AWS::SSM::Document", properties=properties)
    return made
