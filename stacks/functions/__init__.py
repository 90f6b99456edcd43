"""The functions, their bundle, and what each function may do."""
