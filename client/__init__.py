"""The client, `cutover.py`: starts and follows executions, and shows the state of pairs. It reads no `cdk.json`: the
outputs of the stack name the workflow, the lock table and the pairs. It changes nothing except by starting the
workflow or its repair, and by answering an execution that waits for approval. With the functions it shares
`domain` and `health`."""
