"""Which functions run, from which bundle, and what each may do."""
