"""LangChain's indexing: `index()` with its SQLRecordManager over SQLite, as in its "indexing API" page.

A document a row, its source the row's id. One thing differs from that page: texts are not counted with
tiktoken, whose table is a download. That spares LangChain time.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import errand
from langchain_classic.indexes import SQLRecordManager, index
from langchain_core.documents import Document
from langchain_openai import OpenAIEmbeddings
from langchain_pinecone import PineconeVectorStore
from pinecone import Pinecone


def documents(table: str) -> Iterator[Document]:
    with Path(table).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Document(page_content=row["body"], metadata={**row, "source": row["id"]})


def main(table: str) -> None:
    name = os.environ["PINECONE_INDEX"]
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    store = PineconeVectorStore(
        index=Pinecone().Index(name), embedding=embeddings, namespace=os.environ["PINECONE_NAMESPACE"]
    )
    record_manager = SQLRecordManager(f"pinecone/{name}", db_url="sqlite:///record_manager_cache.sql")
    record_manager.create_schema()
    index(documents(table), record_manager, store, cleanup="incremental", source_id_key="source")


errand.run(main)
