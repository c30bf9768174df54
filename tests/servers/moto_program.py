"""`python -m tests.servers.moto_program ADDRESS`: moto's server, whose port it prints, until its input ends.

The listener is up before its port is told, so nobody has to guess. Its standard input closes when the process
that started it ends, whatever ended that, and then it ends too.

DynamoDB is asked one call at a time: with several at once moto 5.2 loses writes (an update is no atomic step
in it, and a transaction that is cancelled puts the whole table back to what it was before it). For that it
copies the whole table, with every item, for each item that a transaction writes; here a copy shares the items
with its table, and whoever changes one puts another in its place.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from copy import copy, deepcopy
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication


class InTurn(DomainDispatcherApplication):
    turn = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if "DynamoDB" not in environ.get("HTTP_X_AMZ_TARGET", ""):
            return super().__call__(environ, start_response)
        with self.turn:
            return list(super().__call__(environ, start_response))


def shared_items(table: Table, memo: dict[int, Any]) -> Table:
    """A table of the same items, from which they can be taken out."""
    same = copy(table)
    places = ((key, at if isinstance(at, Item) else dict(at)) for key, at in table.items.items())
    same.items = defaultdict(dict, places)
    return same


def update_another(
    backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *rest: Any, **more: Any
) -> Item:
    """Update an item that no other table has."""
    item: Any = backend.get_item(table_name, key)
    if item is not None:
        items: Any = backend.get_table(table_name).items
        if item.range_key is None:
            items[item.hash_key] = deepcopy(item)
        else:
            items[item.hash_key][item.range_key] = deepcopy(item)
    return update(backend, table_name, key, *rest, **more)


update = DynamoDBBackend.update_item


def main(address: str) -> None:
    table: Any = Table
    backend: Any = DynamoDBBackend
    serving: Any = threaded_moto_server
    table.__deepcopy__ = shared_items
    backend.update_item = update_another
    serving.DomainDispatcherApplication = InTurn
    server = serving.ThreadedMotoServer(address, 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
