"""What is decided: the plan, the pair, the request, the errors. Pure: no network, no clock, no environment."""
