"""Sections of the settings on the world outside: who asks, what is kept of them, who is told."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from workers.settings_section import Section


class PayloadSettings(Section):
    """Where inputs stand that are too large for an event, how much of them, for how long."""

    folder: str = Field(
        default="", description="folder that all processes share; empty: in data_dir"
    )
    max_mib: int = Field(default=1024, ge=1, description="most that is kept, the oldest goes, MiB")
    ttl_s: float = Field(
        default=3600.0, gt=0, allow_inf_nan=False, description="a payload is kept for so long, s"
    )
    store: str = Field(
        default="",
        pattern="^(s3://.+)?$",
        description="prefix of a store of objects, as s3://bucket/payloads, for machines without a "
        "folder in common; empty for none",
    )


class PrivacySettings(Section):
    """What ClickHouse keeps of requests and answers, and for how long."""

    retention_days: int = Field(
        default=0, ge=0, description="requests and what came of them go after so long; 0: never"
    )
    redact: tuple[str, ...] = Field(
        default=(), description="columns stored empty, such as requests.user or results.outputs"
    )

    @field_validator("redact")
    @classmethod
    def _known(cls, redact: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what would be stored after all: a column that is not there."""
        from workers.sinking.tables import objection_to_empty  # noqa: PLC0415 - for who redacts

        if told := [why for name in redact if (why := objection_to_empty(name))]:
            raise ValueError("; ".join(told))
        return redact


class GatewaySettings(Section):
    """HTTP for those who want a call instead of an event."""

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535, description="0 for any that is free")
    share_port: bool = Field(
        default=False, description="let a successor of the same user listen there before it ends"
    )
    admin_token: SecretStr = Field(
        default=SecretStr(""), description="bearer token of who may change things; empty: nobody"
    )
    anonymous: Literal["loopback", "yes", "no"] = Field(
        default="loopback",
        description="where who has no token may ask, for consumers that have none either",
    )
    certificate: str = Field(default="", description="path of the TLS certificate, PEM")
    key: str = Field(default="", description="path of its key, PEM")
    max_body: int = Field(default=16 * 1_048_576, ge=1024, description="bytes of a request")
    max_requests: int = Field(default=256, ge=1, description="most requests under way")
    max_per_consumer: int = Field(
        default=64, ge=1, description="most requests of one consumer under way"
    )
    rate_per_s: float = Field(
        default=0.0, ge=0, description="most requests a second of a consumer with no rate; 0: any"
    )
    deadline_ms: int = Field(
        default=1000, ge=1, le=600_000, description="time for requests that name none, ms"
    )
    kept: int = Field(default=10_000, ge=1, description="most answers kept for who asks later")
    kept_bytes: int = Field(
        default=64 * 1_048_576, ge=0, description="most bytes that they take together"
    )
    kept_s: float = Field(default=600.0, gt=0, description="they are kept for so long, s")
    drain_s: float = Field(
        default=25.0, gt=0, le=600, description="at the end, time for requests under way, s"
    )


class NarrateSettings(Section):
    """Diagnoses told in prose by a language model: off unless an endpoint is named.

    The endpoint sees what a diagnosis says, redacted, and nothing else.
    """

    url: str = Field(
        default="",
        pattern="^(https?://[^/@]+(/[^@?#]*)?)?$",
        description="OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1; empty for none",
    )
    model: str = Field(default="", max_length=200, description="name of the model there")
    token: SecretStr = Field(default=SecretStr(""), description="bearer token; empty for none")
    timeout_s: float = Field(
        default=20.0, gt=0, le=120, description="longest wait for a whole answer, s"
    )
    attempts: int = Field(default=3, ge=1, le=10, description="calls for one diagnosis at most")
    max_tokens: int = Field(default=400, ge=1, le=8192, description="longest answer, tokens")
    tokens_per_day: int = Field(
        default=100_000, ge=0, description="most tokens a day (UTC), prompts included"
    )
    calls_per_minute: int = Field(default=6, ge=1, description="most calls a minute")
    max_age_s: float = Field(
        default=900.0, gt=0, allow_inf_nan=False, description="older diagnoses are passed over, s"
    )
    redact: tuple[str, ...] = Field(
        default=(), description="words that never go out, beside what looks like a secret"
    )


class NotifySettings(Section):
    """Who is told when a remedy says so: off unless a receiver is named.

    Secrets are best given by the environment; they go into requests alone.
    """

    webhook_url: SecretStr = Field(
        default=SecretStr(""), description="POST JSON here; empty for nobody"
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="key of the HMAC-SHA256 signature; empty for none"
    )
    alertmanager_url: str = Field(
        default="",
        pattern="^(https?://[^/@]+(/[^@?#]*)?)?$",
        description="Alertmanager, such as http://127.0.0.1:9093; empty for none",
    )
    alertmanager_token: SecretStr = Field(
        default=SecretStr(""), description="bearer token; empty for none"
    )
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="longest wait for an answer, s")
    group_s: float = Field(
        default=2.0, ge=0, le=600, description="what comes within so long is one message, s"
    )
    attempts: int = Field(default=8, ge=1, le=50, description="tries before a message is given up")
    queue: int = Field(default=10_000, ge=1, description="most notices that wait")
    repeat_s: float = Field(
        default=60.0, ge=1, le=3600, description="alerts that fire are told again so often, s"
    )
    max_age_s: float = Field(
        default=3600.0,
        gt=0,
        allow_inf_nan=False,
        description="older ones are not told when it begins, s",
    )

    @property
    def configured(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self.webhook_url.get_secret_value() or self.alertmanager_url)
