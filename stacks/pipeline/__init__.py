"""The optional CodePipeline that deploys a release to the idle server and then cuts over to it."""
