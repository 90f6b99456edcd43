"""In which order: the two workflows, their states, retries, rollback, lock and ending."""
