"""The client, `cutover.py`: starts and follows executions, shows the state of pairs, and deletes dead locks.

It reads no `cdk.json`: the outputs of the stack name the workflow, the lock table and the pairs. It changes nothing
except by starting the workflow and by deleting a dead lock. It shares only `domain` with the functions.
"""
