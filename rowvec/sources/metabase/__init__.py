"""Saved questions of a Metabase: exported once, and taken only whole."""

from rowvec.sources.metabase.source import MetabaseSource

__all__ = ["MetabaseSource"]
