"""LlamaIndex's IngestionPipeline with a vector store and a document store, kept in a folder between runs.

As in "Ingestion Pipeline" and its "Document Management". A document a row, with the row's id; the embedded
text is the row's own, without its other columns.
"""

import csv
import os
from pathlib import Path

import errand
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.vector_stores.pinecone import PineconeVectorStore
from pinecone import Pinecone

STORAGE = "pipeline_storage"


def documents(table: str) -> list[Document]:
    with Path(table).open(encoding="utf-8", newline="") as file:
        return [
            Document(doc_id=row["id"], text=row["body"], metadata=row, excluded_embed_metadata_keys=list(row))
            for row in csv.DictReader(file)
        ]


def main(table: str) -> None:
    index = Pinecone().Index(os.environ["PINECONE_INDEX"])
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=1024),
            OpenAIEmbedding(model="text-embedding-3-small"),
        ],
        vector_store=PineconeVectorStore(pinecone_index=index, namespace=os.environ["PINECONE_NAMESPACE"]),
        docstore=SimpleDocumentStore(),
    )
    if Path(STORAGE).exists():
        pipeline.load(STORAGE)
    pipeline.run(documents=documents(table))
    pipeline.persist(STORAGE)


errand.run(main)
