"""How often an address may try to sign in."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from zlib import crc32

from fastapi import Request

from app.api.service import Service
from rowvec.errors import LimitReached

MOST = 10
EVERY_SECONDS = 60.0
DRAWERS = 4096
"""Addresses are counted in so many accounts, so that strangers cannot fill the ledger with theirs."""


async def count_attempt(the: Service, request: Request) -> None:
    """For all processes together. Raises LimitReached."""
    if not await the.machine.ledger.draw(_account(request), 1, MOST, every=EVERY_SECONDS):
        raise LimitReached(
            f"{MOST} attempts to sign in from here have failed within a minute. Try again in a minute.",
            EVERY_SECONDS,
        )


async def forget_attempt(the: Service, request: Request) -> None:
    """It succeeded: many people may sign in from one address."""
    await the.machine.ledger.draw(_account(request), -1, MOST, every=EVERY_SECONDS)


def _account(request: Request) -> str:
    address = request.client.host if request.client else ""
    return f"sign-in {crc32(_network(address).encode()) % DRAWERS}"


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address
