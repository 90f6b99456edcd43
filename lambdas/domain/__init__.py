"""What is decided: the plan, the pair, the request, the errors. Pure; only `deployed_pairs` reads a file."""
