"""Everything that calls AWS: EC2 for addresses and instances, CloudWatch for alarms and metrics."""
