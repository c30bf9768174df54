"""What every test shares."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The machine runs on asyncio."""
    return "asyncio"
