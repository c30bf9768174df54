"""Tables to measure with: rows of sixty words in six columns, some with quotes and newlines."""

from __future__ import annotations

import csv
import random
from pathlib import Path

WORDS = [
    "invoice",
    "harbor",
    "winter",
    "battery",
    "garden",
    "ledger",
    "copper",
    "violet",
    "engine",
    "thunder",
    "window",
    "market",
    "river",
    "planet",
    "silver",
    "doctor",
    "letter",
    "bridge",
    "camera",
    "forest",
    "island",
    "mirror",
    "needle",
    "orange",
    "pencil",
    "rocket",
    "saddle",
    "tunnel",
    "umbrella",
    "valley",
    "wagon",
    "yellow",
    "zebra",
    "anchor",
    "basket",
    "candle",
    "desert",
    "ember",
    "falcon",
    "glacier",
    "hammer",
]


def write_table(path: Path, rows: int, seed: int = 7) -> int:
    """Write `rows` rows and return the size in bytes."""
    chance = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "body", "price", "active", "created_at"])
        for number in range(rows):
            words = chance.choices(WORDS, k=60)
            if number % 5 == 0:
                words[20] = 'a "quoted" word,\nand a new line'
            day = f"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
            writer.writerow(
                [f"row-{number}", " ".join(words[:5]), " ".join(words), number % 997 / 4, "true", day]
            )
    return path.stat().st_size
