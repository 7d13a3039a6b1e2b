"""What an item is, and what a client may send of one."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer,
                      WithJsonSchema)
from pydantic_core import PydanticCustomError

from . import API_PREFIX
from .cursors import read_cursor

LIST_PATH = f"{API_PREFIX}/items"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
INT64 = {"format": "int64"}
WHOLE_AS_REAL_MAX = 2**53  # Beyond it a double may already have been rounded.


def _whole(value: Any) -> Any:
    """A number without a fraction is an integer, however it is written: so says JSON Schema."""
    if type(value) is float and value.is_integer() and abs(value) <= WHOLE_AS_REAL_MAX:
        return int(value)
    return value


def _canonical(value: Any) -> Any:
    """UUID() would take braces, a URN and digits without hyphens too."""
    if isinstance(value, str) and not _UUID.fullmatch(value):
        raise ValueError("not a UUID")
    return value


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, always with six digits; quicker than strftime()."""
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


# No text of PostgreSQL's holds a NUL; one that comes is refused before these models see it.
WITHOUT_NUL = r"^[^\u0000]*$"

Id = Annotated[UUID, BeforeValidator(_canonical)]
Sku = Annotated[str, Field(pattern=r"^[A-Z0-9-]{3,32}$", description="Unique in the catalogue.",
                           examples=["BOLT-M8"])]
Name = Annotated[str, Field(min_length=1, max_length=120, pattern=WITHOUT_NUL,
                            examples=["Bolt M8 x 40"])]
PriceCents = Annotated[int, Field(ge=0, le=100_000_000, examples=[125], json_schema_extra=INT64),
                       BeforeValidator(_whole)]
Description = Annotated[str, Field(max_length=2000, pattern=WITHOUT_NUL,
                                   examples=["Zinc-plated, with nut."])]
Time = Annotated[datetime, PlainSerializer(format_time, return_type=str, when_used="json"),
                 WithJsonSchema({"type": "string", "format": "date-time"})]


class _Sent(BaseModel):
    """What comes from a client: nothing is converted, nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ItemNew(_Sent):
    sku: Sku
    name: Name
    price_cents: PriceCents
    description: Description | None = None


class ItemPatch(_Sent):
    """A merge patch (RFC 7396): what is absent stays, null removes what may be absent."""

    sku: Sku = None
    name: Name = None
    price_cents: PriceCents = None
    description: Description | None = None


class Item(BaseModel):
    id: UUID
    sku: str
    name: str
    price_cents: Annotated[int, Field(json_schema_extra=INT64)]
    description: str | None = None
    version: Annotated[int, Field(description="Counts the changes; the ETag.",
                                  json_schema_extra=INT64)]
    created_at: Time
    updated_at: Time

    def json_bytes(self) -> bytes:
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


class ItemPage(BaseModel):
    items: list[Item]
    next_cursor: str | None = None

    def json_bytes(self) -> bytes:
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoQuery(_Query):
    """Of an operation that takes no parameters."""


def _digits(value: Any) -> Any:
    """int() would take " 5", "+5" and "５" too."""
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("not an integer")
    return int(value) if len(value) < 20 else -1


def _given(value: Any) -> UUID:
    if not isinstance(value, str) or (key := read_cursor(LIST_PATH, value)) is None:
        raise PydanticCustomError("cursor", "is not a cursor that this list has given")
    return key


Cursor = Annotated[UUID, BeforeValidator(_given), WithJsonSchema(
    {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"})]


class ListQuery(_Query):
    q: Annotated[str, Field(min_length=1, max_length=120, pattern=WITHOUT_NUL,
                            description="Part of a name or a SKU.")] | None = None
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)] = 20
    cursor: Cursor | None = None
