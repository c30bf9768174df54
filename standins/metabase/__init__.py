"""A server that answers as Metabase does, with the failures that its users have met. See docs/standins.md."""
