"""What is deployed: the configuration, the workflows, their functions, monitoring, and the optional pipeline."""
