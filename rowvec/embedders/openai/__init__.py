"""OpenAI's embeddings, and every server that speaks its language."""

from rowvec.embedders.openai.embedder import OpenAIEmbedder

__all__ = ["OpenAIEmbedder"]
