"""A stand-in of OpenAI's embeddings API. `vector` and `tokens` say what it will answer."""

from standins.openai.tokens import tokens
from standins.openai.vectors import vector

__all__ = ["tokens", "vector"]
