"""What an operator sees: metrics, alarms, the dashboard, and the topic."""
