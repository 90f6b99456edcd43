"""The documents of Systems Manager: each has the commands of a pair."""

from collections.abc import Iterable

from aws_cdk import CfnResource
from constructs import Construct

from domain.pair import Pair
from domain.release_commands import document
from stacks.configuration.names import Names


class Documents(Construct):
    """Pairs with the same commands share a document. It is never changed: other commands are another document, with
    another name. Its content is text, so that a command can be sent with the hash of this very text. CloudFormation
    also takes text (Template Reference, AWS::SSM::Document); the CDK's own class takes only an object."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Names, pairs: Iterable[Pair]) -> None:
        super().__init__(scope, construct_id)
        contents = {each.key: each.content for pair in pairs if (each := document(pair))}
        for key, content in contents.items():
            properties = {
                "Name": f"{names.documents}{key}", "Content": content, "DocumentFormat": "JSON",
                "DocumentType": "Command", "TargetType": "/AWS::EC2::Instance", "UpdateMethod": "Replace",
            }  # fmt: skip
            CfnResource(self, key, type="AWS::SSM::Document", properties=properties)
