"""The service with everything embedded, on port 8001: `python3 simple_server.py`."""

import os

import uvicorn

PORT = 8001

if __name__ == "__main__":
    uvicorn.run(
        "app.main:app",
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", PORT)),
        server_header=False,
        timeout_graceful_shutdown=10,
    )
