"""Metrics for CloudWatch, in its embedded metric format: each process tells what it did itself.

docs/decisions/0018-cloudwatch.md says why it is so.
"""
