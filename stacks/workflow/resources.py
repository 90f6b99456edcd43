"""The names of the two workflows, and what both use."""

from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns

from stacks.functions.functions import Functions

CUTOVER, REPAIR = "eip-cutover", "eip-cutover-repair"


@dataclass(frozen=True)
class Resources:
    functions: Functions
    lock_table: dynamodb.ITable
    topic: sns.ITopic
