"""The configuration: environment variables, each of which may also come from a file (X_FILE).

The variables, their defaults and their bounds are those of docs/guides/configuration.md. All faults
are found at once; a secret is never repeated.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

FILE_BYTES_MAX = 65536
HOST = r"(\[[0-9A-Za-z:.%]+\]|[A-Za-z0-9._%-]+)(:\d{1,5})?"
USER = r"([^@/?\s]*@)?"
REST = r"[!-~]*"
DATABASE_URL = re.compile(rf"postgres(ql)?://{USER}({HOST}(,{HOST})*)?(/[^/@\s?]*)?(\?{REST})?")
AMQP_URL = re.compile(rf"amqps?://{USER}{HOST}(/[^/@\s?]*)?(\?{REST})?")
HTTP_URL = re.compile(rf"https?://{USER}{HOST}([/?]{REST})?")
ORIGIN = re.compile(rf"[A-Za-z0-9+.-]+://{HOST}")
CONSUMER = re.compile(r"[a-z][a-z0-9-]{0,63}=(\*|#|[\w-]+)(\.(\*|#|[\w-]+))*")
ATTRIBUTE = re.compile(r"[\w./-]+=[!-~]*")
SECRETS = {"database_url", "amqp_url", "otel_exporter_otlp_endpoint",
           "otel_exporter_otlp_traces_endpoint"}


def _digits(value: Any) -> Any:
    """int() would take " 8", "+8" and "8_0" too."""
    if isinstance(value, str) and not re.fullmatch(r"-?\d+", value, re.ASCII):
        raise ValueError("not a whole number")
    return value


def _matching(pattern: re.Pattern) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError("not of this form")
        return text

    return AfterValidator(check)


def _list_of(pattern: re.Pattern, alone: str | None = None) -> AfterValidator:
    def check(text: str) -> str:
        parts = [part.strip() for part in text.split(",")]
        if text and text != alone and not all(pattern.fullmatch(part) for part in parts):
            raise ValueError("not a list of these")
        return text

    return AfterValidator(check)


def _truth(value: Any) -> Any:
    known = {"true": True, "1": True, "false": False, "0": False}
    return known.get(value, value) if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_digits)]
Truth = Annotated[Literal[True, False], BeforeValidator(_truth)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _whole(default: int, low: int, high: int, what: str) -> Any:
    return Field(default, ge=low, le=high, description=what)


def _text(default: Any, allowed: str, what: str) -> Any:
    return Field(default, description=what, json_schema_extra={"allowed": allowed})


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    host: str = _text("0.0.0.0", "an address or a host name", "The address to listen on.")
    port: Whole = _whole(8080, 0, 65535, "The TCP port to listen on; 0 takes a free one.")
    database_url: Annotated[str, _matching(DATABASE_URL)] = _text(
        ..., "postgresql://user:password@host:port/database", "The service's own database.")
    amqp_url: Annotated[str, _matching(AMQP_URL)] = _text(
        ..., "amqp://user:password@host:port/vhost, or amqps://", "RabbitMQ.")
    event_consumers: Annotated[str, _list_of(CONSUMER)] = _text(
        "", "service=pattern, separated by commas", "Queues to declare for known consumers.")
    migrate: Truth = _text(True, "true or false", "Apply the migrations at the start.")
    database_pool_max: Whole = _whole(4, 1, 64, "Connections of a worker.")
    database_batch_max: Whole = _whole(128, 1, 1024, "Not used here: asyncpg has no batches.")
    database_lock_timeout_ms: Whole = _whole(500, 1, 60000, "How long a lock is waited for.")

    workers: Whole = _whole(len(os.sched_getaffinity(0)), 1, 64, "Processes that serve.")
    connections_max: Whole = _whole(4096, 1, 100000, "Connections of the whole service.")
    requests_max: Whole = _whole(1024, 1, 100000, "Requests at work at once; 503 beyond.")
    streams_max: Whole = _whole(256, 0, 100000, "Not used here: this service has no streams.")
    body_bytes_max: Whole = _whole(1048576, 0, 67108864, "The largest body; 413 beyond.")
    header_bytes_max: Whole = _whole(8192, 1024, 1048576, "The largest header; 431 beyond.")
    request_timeout_ms: Whole = _whole(5000, 1, 600000, "What a request may take; 504 beyond.")
    read_timeout_ms: Whole = _whole(10000, 1, 600000, "What sending one may take; 408 beyond.")
    idle_timeout_ms: Whole = _whole(75000, 1, 3600000, "How long an idle connection is kept.")
    readiness_delay_ms: Whole = _whole(0, 0, 600000, "From readiness off to the stop.")
    drain_timeout_ms: Whole = _whole(15000, 100, 600000, "What requests in hand get to finish in.")

    idempotency_ttl_s: Whole = _whole(86400, 1, 31536000, "How long a key's answer is kept.")
    inbox_ttl_s: Whole = _whole(604800, 60, 31536000, "How long a message's id is remembered.")
    outbox_batch_max: Whole = _whole(256, 1, 4096, "Events published in one go.")
    outbox_poll_ms: Whole = _whole(1000, 10, 60000, "How often the outbox is looked at unwoken.")
    consumer_prefetch: Whole = _whole(256, 1, 4096, "Not used here: this service consumes nothing.")
    consumer_retries_max: Whole = _whole(5, 0, 100, "Not used here, likewise.")

    cors_allowed_origins: Annotated[str, _list_of(ORIGIN, alone="*")] = _text(
        "", "origins such as https://app.example, separated by commas, or *",
        "Web pages that may call.")
    log_level: Literal["debug", "info", "warn", "error"] = Field(
        "info", description="The least level that is logged.")
    access_log: Truth = _text(True, "true or false", "Log each request.")
    access_log_ratio: Ratio = _text(1.0, "a number from 0 to 1", "The part of them that is logged.")

    otel_service_name: str = _text("", "any text", "service.name.")
    otel_resource_attributes: Annotated[str, _list_of(ATTRIBUTE)] = _text(
        "", "key=value, separated by commas, percent-encoded", "Attributes of the resource.")
    otel_exporter_otlp_endpoint: Annotated[str, _matching(HTTP_URL)] | Literal[""] = _text(
        "", "http://host:port or https://", "The collector.")
    otel_exporter_otlp_traces_endpoint: Annotated[str, _matching(HTTP_URL)] | Literal[""] = _text(
        "", "http://host:port/path or https://", "Where spans are posted to, as it is.")
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = Field(
        "http/protobuf", description="How spans are sent.")
    otel_exporter_otlp_headers: Annotated[str, _list_of(ATTRIBUTE)] = _text(
        "", "key=value, separated by commas, percent-encoded", "Header fields to send with them.")
    otel_exporter_otlp_certificate: str = _text("", "any text", "A PEM file of authorities.")
    otel_exporter_otlp_compression: Literal["none", "gzip"] = Field(
        "none", description="How spans are packed.")
    otel_exporter_otlp_timeout: Whole = _whole(10000, 1, 600000, "What the collector may take.")
    otel_traces_sampler: Literal[
        "always_on", "always_off", "traceidratio", "parentbased_always_on",
        "parentbased_always_off", "parentbased_traceidratio"] = Field(
        "parentbased_always_on", description="Which traces are kept.")
    otel_traces_sampler_arg: Ratio = _text(1.0, "a number from 0 to 1", "The samplers' ratio.")
    otel_bsp_schedule_delay: Whole = _whole(1000, 1, 3600000, "How long a span waits for others.")
    otel_bsp_export_timeout: Whole = _whole(30000, 1, 3600000, "How long sending is tried.")
    otel_bsp_max_queue_size: Whole = _whole(8192, 1, 1000000, "Spans that may wait.")
    otel_bsp_max_export_batch_size: Whole = _whole(512, 1, 100000, "Spans in one message.")

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings,
                                   dotenv_settings, file_secret_settings):
        return init_settings, env_settings, FromFiles(settings_cls)

    def per_worker(self, limit: int) -> int:
        """A worker's part of a limit that is set for the whole service."""
        return max(1, -(-limit // self.workers))

    @property
    def origins(self) -> list[str]:
        return [part.strip() for part in self.cors_allowed_origins.split(",") if part.strip()]

    @property
    def consumers(self) -> list[tuple[str, str]]:
        """Pairs of a service and a pattern."""
        parts = [part.strip() for part in self.event_consumers.split(",") if part.strip()]
        return [tuple(part.split("=", 1)) for part in parts]

    @property
    def traces_endpoint(self) -> str:
        if self.otel_exporter_otlp_traces_endpoint or not self.otel_exporter_otlp_endpoint:
            return self.otel_exporter_otlp_traces_endpoint
        return self.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"


class FromFiles(PydanticBaseSettingsSource):
    """X_FILE names a file that holds X, as orchestrators mount secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        return _without_line_end(Path(path).read_text()), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0]
                 for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value}


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


class Misconfigured(Exception):
    """Holds one line for each fault: variable, what was found, what is allowed."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = lines


def read_settings() -> Settings:
    faults = _faults_of_files()
    if faults:
        raise Misconfigured(faults)
    try:
        return Settings()
    except ValidationError as error:
        by_name = {str(fault["loc"][0]): fault for fault in error.errors()}
        raise Misconfigured([_line(name, fault) for name, fault in by_name.items()]) from None


def _faults_of_files() -> list[str]:
    faults = []
    for name in map(str.upper, Settings.model_fields):
        path = os.environ.get(f"{name}_FILE")
        if not path:
            continue
        if os.environ.get(name):
            faults.append(f"{name}_FILE: {name} is set too; allowed: one of the two")
        elif not (file := Path(path)).is_file() or not os.access(path, os.R_OK):
            faults.append(f"{name}_FILE: {path!r} can't be read; allowed: a file with the value")
        elif file.stat().st_size > FILE_BYTES_MAX:
            faults.append(f"{name}_FILE: {path!r} is too large for a value")
    return faults


def _line(name: str, fault: dict) -> str:
    allowed = allowed_values(Settings.model_fields[name])
    if fault["type"] == "missing":
        return f"{name.upper()}: not set; allowed: {allowed}"
    return f'{name.upper()}: found "{_shown(name, str(fault["input"]))}"; allowed: {allowed}'


def _shown(name: str, value: str) -> str:
    """Of a URL that isn't one, nobody can say where the password stands."""
    if name == "otel_exporter_otlp_headers":
        return "***"
    scheme = re.match(r"[a-z]{1,16}://", value)
    if name in SECRETS and (not scheme or re.search("[@:? ]", value[scheme.end():])):
        return (scheme.group() if scheme else "") + "***"
    return "".join(c if c.isprintable() else "?" for c in value[:200])


def allowed_values(field: FieldInfo) -> str:
    if field.json_schema_extra:
        return field.json_schema_extra["allowed"]
    if get_origin(field.annotation) is Literal:
        *others, last = get_args(field.annotation)
        return f"{', '.join(others)} or {last}" if others else last
    bounds = {type(one).__name__: one for one in field.metadata}
    return f"a whole number from {bounds['Ge'].ge} to {bounds['Le'].le}"


def masked(name: str, value: Any) -> str:
    """A value as it may be shown."""
    if name == "otel_exporter_otlp_headers":
        return "***" if value else ""
    if name in SECRETS:
        value = re.sub(r"(password[^=]*=)[^&]*", r"\1***", str(value))
        return re.sub(r"//([^:@/]*):[^@/]*@", r"//\1:***@", value)
    return str(value).lower() if isinstance(value, bool) else str(value)
