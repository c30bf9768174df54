"""What a task has put away for its own work, and nobody needs once it will not go on."""

from __future__ import annotations

from rowvec.export import drop_exports
from rowvec.machine import Machine
from rowvec.model import Task
from rowvec.paid import drop_paid
from rowvec.proof import drop_wish
from rowvec.spool import drop_copy


async def drop_leftovers(machine: Machine, task: Task) -> None:
    """Remove its copy of the source, exports, what it has paid for and asked to be mended. Harmless twice.

    Only where nothing of it is at work, and nothing ever will be. Raises RetryLater.
    """
    await drop_copy(machine, task)
    await drop_exports(machine, task)
    await drop_paid(machine.files, task.id)
    await drop_wish(machine, task)
