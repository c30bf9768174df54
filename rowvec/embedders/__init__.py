"""The table of embedders: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "local": Backend("rowvec.embedders.local:LocalEmbedder", "pip install wordllama"),
    "memory": Backend("rowvec.embedders.memory:MemoryEmbedder"),
    "openai": Backend("rowvec.embedders.openai:OpenAIEmbedder", "pip install aiohttp msgspec pybase64"),
}
