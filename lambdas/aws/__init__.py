"""Who talks to AWS: the one door to EC2's addresses and instances, to CloudWatch's alarms and metrics."""
