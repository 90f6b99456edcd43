"""The client, `cutover.py`. It changes nothing except by starting the workflow or its repair, and by answering an
execution that waits for approval. It reads no `cdk.json`. With the functions it shares `domain` and `health`."""
