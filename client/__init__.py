"""The client, `cutover.py`: starts and follows executions, shows how pairs stand, and deletes dead locks.

It reads no `cdk.json`: the outputs of the stack name the workflow, the lock table and the pairs. It changes nothing
except by starting the workflow and by deleting a dead lock. With the functions it shares `domain`, and nothing else.
"""
