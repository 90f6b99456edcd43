"""The optional CodePipeline that starts the workflow with each release."""
