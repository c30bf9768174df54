"""The machine: rows in, vectors out. It knows no web framework and no task queue.

Read `rowvec.pipeline` first; `docs/architecture.md` shows how the rooms hang together.
"""

__version__ = "1.0.0"
