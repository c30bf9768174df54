"""Ours beside other ways to bring a table into Pinecone and OpenAI, against the same stand-ins."""
