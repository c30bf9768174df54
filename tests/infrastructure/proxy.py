"""nginx itself, with the file that is deployed, in front of a service."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.http_service import ROOT, free_port
from tests.servers.process import Server

NAME = "vectordb.example.com"
FILE = ROOT / "infrastructure/nginx/vectordb-api.conf"
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/vectordb-api.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    plain: int
    tls: int
    folder: Path

    def client(self, name: str = NAME, key: str | None = None, asked: str | None = None) -> httpx2.Client:
        """Asks by that name over TLS and trusts this proxy's certificate; `asked` is the Host header."""
        trusted = ssl.create_default_context(cafile=self.folder / "fullchain.pem")
        headers = {"Host": asked or name} | ({"X-API-Key": key} if key else {})
        client = httpx2.Client(
            base_url=f"https://127.0.0.1:{self.tls}", headers=headers, verify=trusted, timeout=30
        )
        client.event_hooks["request"].append(
            lambda request: request.extensions.__setitem__("sni_hostname", name)
        )
        return client


@contextmanager
def proxy(service: str, folder: Path) -> Iterator[Proxy]:
    """It runs; see `laid_out`."""
    it, server = laid_out(service, folder)
    server.start()
    try:
        yield it
    finally:
        server.stop()


def laid_out(service: str, folder: Path) -> tuple[Proxy, Server]:
    """The deployed file with other ports, paths and upstream, and nothing else changed; to be started."""
    folder.mkdir()
    it = Proxy(free_port(), free_port(), folder)
    certificate(folder)
    (folder / "vectordb-api.conf").write_text(moved(it, service))
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    files = ["-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"]
    return it, Server(["nginx", *map(str, files)], folder / "log", lambda: answers(it))


def moved(it: Proxy, service: str) -> str:
    text = FILE.read_text()
    changes = {
        "listen 80": f"listen 127.0.0.1:{it.plain}",
        "listen 443": f"listen 127.0.0.1:{it.tls}",
        "127.0.0.1:8000": service.removeprefix("http://"),
        "/etc/vectordb/tls": str(it.folder),
        "/var/log/nginx": str(it.folder),
        "/var/www/letsencrypt": str(it.folder / "letsencrypt"),
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


def certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
         "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


def answers(it: Proxy) -> bool:
    try:
        httpx2.get(f"http://127.0.0.1:{it.plain}/", headers={"Host": NAME})
    except httpx2.TransportError:
        return False
    return True
