"""The processes that work, and the doorbell that wakes them."""

import os

# Before Arrow is loaded: its own allocator keeps a heap for each thread that ever wrote a manifest. Measured:
# 131 MB instead of 156 after 100,000 rows, 136 instead of 179 after a million.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
