"""How health is judged: a check of a server, from the probe to the verdict and the message. It uses no AWS service."""
