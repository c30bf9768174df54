"""The script most people write: pandas and the official libraries, a hundred rows at a time, in turn.

As in OpenAI's embeddings guide and in Pinecone's "upsert in batches"; the libraries try again by themselves.
"""

import os

import errand
import pandas as pd
from openai import OpenAI
from pinecone import Pinecone

BATCH = 100


def main(table: str) -> None:
    client = OpenAI()
    index = Pinecone(api_key=os.environ["PINECONE_API_KEY"]).Index(os.environ["PINECONE_INDEX"])
    rows = pd.read_csv(table)
    for start in range(0, len(rows), BATCH):
        batch = rows.iloc[start : start + BATCH]
        answer = client.embeddings.create(model="text-embedding-3-small", input=batch["body"].tolist())
        vectors = [
            {"id": row["id"], "values": item.embedding, "metadata": row}
            for row, item in zip(batch.to_dict("records"), answer.data, strict=True)
        ]
        index.upsert(vectors=vectors, namespace=os.environ["PINECONE_NAMESPACE"])


errand.run(main)
