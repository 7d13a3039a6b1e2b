"""The operations of the items service."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from . import queries
from .conditional import fails, listed
from .context import RequestContext, context_of
from .cursors import write_cursor
from .database import Database, Session
from .ids import uuid7
from .models import LIST_PATH, Id, Item, ItemNew, ItemPage, ItemPatch, ListQuery, NoQuery
from .problems import NOT_FOUND, PRECONDITION_FAILED, Problem
from .strict_route import StrictRoute
from .unit import Unit, unit_of

router = APIRouter(prefix=LIST_PATH, tags=["items"], route_class=StrictRoute)


async def database_of(request: Request) -> Database:
    return request.app.state.units.database


async def _context(request: Request) -> RequestContext:
    return context_of(request)


WithUnit = Annotated[Unit, Depends(unit_of)]
WithDatabase = Annotated[Database, Depends(database_of)]
WithContext = Annotated[RequestContext, Depends(_context)]
ItemId = Annotated[Id, Path(alias="id")]
WithoutQuery = Annotated[NoQuery, Query()]


def _reply(item: Item, status: int = 200, **headers: str) -> Response:
    return Response(item.json_bytes(), status, media_type="application/json",
                    headers={"ETag": item.etag, **headers})


async def _locked(session: Session, item_id: UUID, context: RequestContext) -> Item:
    """The item as it is until the transaction ends, if the client may change this version."""
    row = await session.row(queries.LOCK_ITEM, item_id)
    if row is None:
        raise _no_item()
    item = Item.model_construct(**row)
    if fails(context.headers.get("if-match"), context.headers.get("if-none-match"), item.etag):
        raise Problem(PRECONDITION_FAILED, f"The current version is {item.etag}.")
    return item


def _no_item() -> Problem:
    return Problem(NOT_FOUND, "What the path names does not exist.")


@router.post("", status_code=201, response_model=Item, summary="Add an item to the catalogue")
async def create_item(new: ItemNew, unit: WithUnit, _: WithoutQuery) -> Response:
    now = datetime.now(UTC)
    item = Item.model_construct(id=uuid7(), version=1, created_at=now, updated_at=now,
                                **new.model_dump())
    answer = _reply(item, 201, Location=f"{LIST_PATH}/{item.id}")

    async def effect(session: Session) -> Response:
        await session.row(
            queries.INSERT_ITEM, *unit.beside("item.created", item.id, now, answer), item.id,
            item.sku, item.name, item.price_cents, item.description, item.version, now, now)
        return answer

    return await unit.run(effect)


@router.get("", response_model=ItemPage, summary="List items, newest first")
async def list_items(wanted: Annotated[ListQuery, Query()], database: WithDatabase,
                     context: WithContext) -> Response:
    # One more than wanted, so that the last page is known without a count.
    rows = await database.run(lambda session: session.rows(
        queries.SEARCH_ITEMS, wanted.q, wanted.cursor, wanted.limit + 1))
    page = ItemPage.model_construct(
        items=[Item.model_construct(**row) for row in rows[:wanted.limit]], next_cursor=None)
    headers = {}
    if len(rows) > wanted.limit:
        page.next_cursor = write_cursor(LIST_PATH, page.items[-1].id)
        headers["Link"] = _link_to_next(context, page.next_cursor)
    return Response(page.json_bytes(), media_type="application/json", headers=headers)


def _link_to_next(context: RequestContext, cursor: str) -> str:
    """The request's own target with the cursor replaced (RFC 8288)."""
    kept = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in context.pairs
            if name != "cursor"]
    return f"<{quote(context.path, safe='/%')}?{'&'.join([*kept, f'cursor={cursor}'])}>; " \
           'rel="next"'


@router.get("/{id}", response_model=Item, summary="Show an item")
async def show_item(item_id: ItemId, database: WithDatabase, context: WithContext,
                    _: WithoutQuery) -> Response:
    row = await database.run(lambda session: session.row(queries.SELECT_ITEM, item_id))
    if row is None:
        raise _no_item()
    item = Item.model_construct(**row)
    if fails(context.headers.get("if-match"), None, item.etag):
        raise Problem(PRECONDITION_FAILED, f"The current version is {item.etag}.")
    if_none_match = context.headers.get("if-none-match")
    if if_none_match is not None and listed(if_none_match, item.etag, weak=True):
        return Response(status_code=304, headers={"ETag": item.etag})
    return _reply(item)


@router.patch("/{id}", response_model=Item, summary="Change an item")
async def change_item(item_id: ItemId, patch: ItemPatch, unit: WithUnit, context: WithContext,
                      _: WithoutQuery) -> Response:
    async def effect(session: Session) -> Response:
        now = datetime.now(UTC)
        current = await _locked(session, item_id, context)
        item = current.model_copy(update=patch.model_dump(exclude_unset=True) | {
            "version": current.version + 1, "updated_at": now})
        answer = _reply(item)
        await session.row(
            queries.UPDATE_ITEM, *unit.beside("item.updated", item.id, now, answer), item.id,
            item.sku, item.name, item.price_cents, item.description, now)
        return answer

    return await unit.transact(effect)


@router.delete("/{id}", status_code=204, summary="Remove an item")
async def remove_item(item_id: ItemId, unit: WithUnit, context: WithContext,
                      _: WithoutQuery) -> Response:
    answer = Response(status_code=204)

    async def effect(session: Session) -> Response:
        item = await _locked(session, item_id, context)
        await session.row(
            queries.DELETE_ITEM, *unit.beside("item.deleted", item.id, datetime.now(UTC), answer),
            item.id)
        return answer

    return await unit.transact(effect)

