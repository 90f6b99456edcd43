"""The three workflows: their states and the order of these, retries, rollback, lock and ending."""
