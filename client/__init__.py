"""The client, `cutover.py`: starts and follows executions, and shows the state of pairs. It changes nothing except by
starting the workflow or its repair, and by answering an execution that waits for approval. It reads no `cdk.json`. With
the functions it shares `domain` and `health`."""
