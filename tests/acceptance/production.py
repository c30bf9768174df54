"""The whole of production in real processes: the API, Celery workers, and all that they talk to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from standins.pinecone.settings import KEY as PINECONE_KEY
from standins.process import Standin
from tests.acceptance.goods import DIMENSION, Goods, Landed
from tests.acceptance.service import Service
from tests.servers.moto import Moto
from tests.servers.place import HERE, Place

T = TypeVar("T")
PATIENCE = 180.0
INDEX = "products"
OPENAI_KEY = "sk-production-0123456789abcdef"
INDEXES = [{"name": INDEX, "dimension": DIMENSION}]
CELERY = ["-A", "app.workers.celery_app", "worker"]
BESIDE_IT = ("one", "two")
NOBODY_ELSE: Mapping[str, str] = {}


def until(ask: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """The first answer that is true. Raises when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)
    return answer


class CeleryWorker:
    """`celery -A app.workers.celery_app worker` beside a service, with one process in its pool.

    With a `host` it takes itself to be on a machine of that name: nobody else can ask after its processes.
    At another `place` it is on another one.
    """

    def __init__(self, service: Service, name: str, host: str = "", place: Place = HERE) -> None:
        self.name = name
        self.host = host
        self.log = service.folder / f"{name}.log"
        self._service = service
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Does not wait."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._place.command(self._service.folder, sys.executable, "-m", *self._program()),
                cwd=self._service.folder,
                env=self._service._whole_environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _program(self) -> list[str]:
        program = ["tests.acceptance.elsewhere", self.host] if self.host else ["celery"]
        return [*program, *CELERY, "-n", f"{self.name}@%h"]

    @property
    def program(self) -> psutil.Process:
        """Celery itself. Raises RuntimeError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} does not run:\n{self.log.read_text()[-4000:]}")
        return psutil.Process(self._process.pid)

    def pool(self) -> list[psutil.Process]:
        """The processes that do its work."""
        return [child for child in self.program.children() if not _has_ended(child)]

    def kill(self) -> None:
        """SIGKILL to Celery alone; returns when the processes of its pool have ended with it."""
        if self._process is None or self._process.poll() is not None:
            return
        pool = self.program.children(recursive=True)
        self._process.kill()
        self._process.wait()
        _, left = psutil.wait_procs(pool, 30)
        for process in left:
            process.kill()
        if left:
            raise RuntimeError(f"{left} outlived their parent")


@dataclass(frozen=True)
class Production:
    """A service with its workers, and what a test looks at beside it."""

    service: Service
    workers: list[CeleryWorker]
    openai: Standin
    pinecone: Standin
    moto: Moto
    bucket: str

    def put(self, key: str, goods: Goods) -> None:
        """The table as an object of the bucket, below the service's prefix."""
        self.moto.client("s3").put_object(Bucket=self.bucket, Key=f"tables/{key}", Body=goods.data)

    def landed(self, namespace: str) -> Landed:
        """What Pinecone holds in a namespace."""
        found: Landed = self.pinecone.ask("/_standin/landed", {"index": INDEX, "namespace": namespace})
        return found

    def times_billed(self, goods: Goods) -> dict[int, int]:
        """How often OpenAI has billed each good row's text, by the row's number."""
        return self._times("billed", goods)

    def times_lost(self, goods: Goods) -> dict[int, int]:
        """How often it has billed it and lost the answer."""
        return self._times("lost", goods)

    def wait_ready(self) -> None:
        """Until every worker is alive in the ledger and every part answers."""
        until(self._is_well, "the service is not healthy")

    def complaints(self) -> list[dict[str, Any]]:
        """Lines of any log that are warnings or worse, or tell of an answer of 400 and above.

        What health says of a part that is slow at the start is left out.
        """
        logs = [self.service.folder / "service.log", *(worker.log for worker in self.workers)]
        lines = [line for log in logs for line in complaints_of(log)]
        return [line for line in lines if line["event"] != "part_not_answering"]

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = self.service.http.get("/health").raise_for_status().json()
        return health

    def _times(self, inquiry: str, goods: Goods) -> dict[int, int]:
        times = self.openai.ask(f"/_standin/{inquiry}", {"texts": [good.text for good in goods.good]})
        return {good.number: often for good, often in zip(goods.good, times, strict=True)}

    def _is_well(self) -> bool:
        health = self.health()
        return (health["status"], health["workers"]["active"]) == ("healthy", len(self.workers))


def complaints_of(log: Path) -> Iterator[dict[str, Any]]:
    """Lines that are no JSON are Celery's banner, or a complaint of Python itself."""
    for text in log.read_text(errors="replace").splitlines():
        if text.startswith("{"):
            line = json.loads(text)
            if line["level"] not in ("debug", "info") or line.get("status", 200) >= 400:
                yield line
        elif text.startswith(("Traceback", "Exception", "error:")) or "Error" in text:
            yield {"level": "error", "event": text}


@contextmanager
def production(
    folder: Path,
    openai: Standin,
    pinecone: Standin,
    moto: Moto,
    elsewhere: Mapping[str, str] = NOBODY_ELSE,
    /,
    **settings: str,
) -> Iterator[Production]:
    """Two Celery workers and an API process that are ready, with a bucket of their own.

    `settings` name the broker and the ledger, `elsewhere` more workers and their hosts; what is started is
    killed at the end of the block.
    """
    bucket = moto.new_bucket()
    with ExitStack() as ending:
        parts = parts_of(openai, pinecone, moto, bucket) | settings
        service = ending.enter_context(Service(folder, **parts))
        hosts = dict.fromkeys(BESIDE_IT, "") | dict(elsewhere)
        workers = [CeleryWorker(service, name, host) for name, host in hosts.items()]
        for worker in workers:
            ending.callback(worker.kill)
        yield begun(Production(service, workers, openai, pinecone, moto, bucket))


def begun(whole: Production) -> Production:
    """Its processes are started, and it is ready."""
    whole.service.start()
    for worker in whole.workers:
        worker.start()
    whole.service.wait_alive()
    whole.wait_ready()
    return whole


def parts_of(openai: Standin, pinecone: Standin, moto: Moto, bucket: str) -> dict[str, str]:
    """The settings of production, but for the broker and the ledger."""
    return {
        **moto.settings,
        "EMBEDDER": "openai",
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": f"{openai.url}/v1",
        "VECTOR_STORE_URL": f"pinecone://{INDEX}",
        "PINECONE_API_KEY": PINECONE_KEY,
        "PINECONE_CONTROLLER_HOST": pinecone.url,
        "S3_BUCKET": bucket,
        "S3_PREFIX": "tables",
        "FILE_STORE_URL": f"s3://{bucket}/kept",
        "MAX_WORKERS": "1",
        "MIN_FREE_BYTES": "0",
        "LEASE_SECONDS": "20",
    }


def freeze(process: psutil.Process) -> None:
    """Returns once all of it stands still: what it holds now is what it holds when it is killed."""
    process.suspend()
    until(lambda: _stands_still(process.pid), f"{process} does not stop")


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _stands_still(pid: int) -> bool:
    """Linux tells a thread's state after its name, which ends with the last parenthesis."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] in "Tt" for thread in threads)
