"""The configuration: the context of cdk.json, validated before anything is synthesized from it."""
