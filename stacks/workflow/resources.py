"""The resources that the workflows use."""

from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb, aws_sns as sns

from stacks.configuration.names import Names
from stacks.functions.functions import Functions


@dataclass(frozen=True)
class Resources:
    names: Names
    functions: Functions
    lock_table: dynamodb.ITable
    topic: sns.ITopic
