"""How health is judged: one check of one server, from the probe to the verdict and the message."""
