"""What is decided: the plan, the pair, the request, the errors. Pure, but for two files that are deployed with it."""
