"""How health is judged: the check of a server, from the probe to the verdict and the message. It does not use AWS."""
