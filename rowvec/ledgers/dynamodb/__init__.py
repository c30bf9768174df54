"""A ledger in a table of DynamoDB, which any number of hosts share."""

from rowvec.ledgers.dynamodb.ledger import DynamoLedger

__all__ = ["DynamoLedger"]
