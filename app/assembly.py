"""Settings → machine. The only file that knows both."""

from __future__ import annotations

from app.config import Settings
from rowvec.machine import Machine


def assemble(settings: Settings) -> Machine:
    """Every part as the settings name it; cheap. Raises NotConfigured with the setting and the remedy."""
    return Machine.open(settings.for_machine(), settings.limits)
