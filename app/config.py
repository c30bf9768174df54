"""All settings, read once from the environment, credentials and `.env`. The names are a promise."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.credentials import credentials
from rowvec.machine import Limits
from rowvec.redaction import secrets_in

STDOUT = "stdout"
"""CLOUDWATCH_METRICS where records go to the standard output, not into a file."""


class Settings(BaseSettings):
    """See `.env.example` for what each means. Unset values choose the embedded parts."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, frozen=True
    )

    data_dir: Path = Path("data")
    ledger_url: str = ""
    broker_url: str = ""
    embedder: str = "local"
    vector_store_url: str = ""
    file_store_url: str = ""
    use_local_files: bool | None = None
    local_files_dir: Path = Path("test_data/csv_files")
    s3_bucket: str = ""
    metabase_url: str = ""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    session_secret: SecretStr = SecretStr("")
    chunk_size: int = Field(1000, ge=1, le=100_000)
    max_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    lease_seconds: float = Field(60, ge=2)
    max_record_bytes: int = Field(16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    max_upload_bytes: int = Field(50 * 1024**3, ge=1)
    max_decompressed_bytes: int = Field(100 * 1024**3, ge=1)
    rejected_share: float = Field(0.5, ge=0, le=1)
    min_free_bytes: int = Field(1024**3, ge=0)
    upload_days: int = Field(30, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    environment: str = "development"
    log_level: str = "INFO"
    cloudwatch_metrics: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before credentials, and those before `.env`."""
        files = {name.lower(): value for name, value in credentials().items()}
        return init_settings, env_settings, InitSettingsSource(settings_cls, files), dotenv_settings

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("cloudwatch_metrics")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        if value and value != STDOUT and not Path(value).is_absolute():
            raise ValueError(
                f"must be {STDOUT}, or a file as /var/log/vectordb/metrics.json, with its whole path"
            )
        return value

    @property
    def data(self) -> Path:
        return self.data_dir.expanduser().absolute()

    @property
    def reads_local_files(self) -> bool:
        """Does `s3_csv` read from LOCAL_FILES_DIR? Unless told, as long as there is no bucket."""
        return not self.s3_bucket if self.use_local_files is None else self.use_local_files

    @property
    def is_production(self) -> bool:
        return self.environment.strip().lower() == "production"

    @property
    def other_parts(self) -> list[str]:
        """The settings that choose another part than the embedded one."""
        chosen = {
            "BROKER_URL": self.broker_url,
            "LEDGER_URL": self.ledger_url,
            "VECTOR_STORE_URL": self.vector_store_url,
            "FILE_STORE_URL": self.file_store_url,
            "EMBEDDER": self.embedder.removeprefix("local"),
        }
        return [name for name, value in chosen.items() if value]

    @property
    def limits(self) -> Limits:
        return Limits(
            chunk_size=self.chunk_size,
            max_record_bytes=self.max_record_bytes,
            lease_seconds=self.lease_seconds,
            max_decompressed_bytes=self.max_decompressed_bytes,
            rejected_share=self.rejected_share,
            min_free_bytes=self.min_free_bytes,
            upload_days=self.upload_days,
        )

    def for_machine(self) -> dict[str, str]:
        """What the machine's parts read, by the names of `.env.example`, defaults filled in.

        The rest of the environment is passed on, so that a new part brings its own settings.
        """
        return (
            {k: v for k, v in dotenv_values(".env").items() if v}
            | credentials()
            | {k: v for k, v in os.environ.items() if v}
            | {
                "DATA_DIR": str(self.data),
                "BROKER_URL": self.broker_url,
                "LEDGER_URL": self.ledger_url or f"sqlite:///{self.data}/ledger.db",
                "EMBEDDER": self.embedder,
                "VECTOR_STORE_URL": self.vector_store_url or f"lancedb://{self.data}/vectors",
                "FILE_STORE_URL": self.file_store_url or f"file://{self.data}/files",
                "LOCAL_FILES_DIR": str(self.local_files_dir),
            }
        )

    @property
    def secrets(self) -> list[str]:
        """All that must never be shown: keys, tokens, and passwords in addresses."""
        own = [*self.api_keys, self.session_secret]
        return [*filter(None, (key.get_secret_value() for key in own)), *secrets_in(self.for_machine())]


PARTS = ("OPENAI_", "PINECONE_", "METABASE_", "S3_", "AWS_", "TIKTOKEN_")
"""How the names begin that the machine's parts read for themselves."""


def is_setting(name: str) -> bool:
    """Is an environment variable of this name one of ours?"""
    return name.lower() in Settings.model_fields or name.startswith(PARTS)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Raises pydantic's ValidationError, which names the variable."""
    return Settings()
