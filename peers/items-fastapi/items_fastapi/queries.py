"""The statements on items. A query's name labels its span and its metric."""

from .database import Query
from .unit import ALSO_WRITING

COLUMNS = "id, sku, name, price_cents, description, version, created_at, updated_at"

INSERT_ITEM = Query("insert_item", f"""{ALSO_WRITING}
INSERT INTO items ({COLUMNS}) VALUES ($14, $15, $16, $17, $18, $19, $20, $21)""")
SELECT_ITEM = Query("select_item", f"SELECT {COLUMNS} FROM items WHERE id = $1")
# The greatest UUID stands for "from the start": one plan, an index range, serves every page.
SEARCH_ITEMS = Query("search_items", f"""
SELECT {COLUMNS} FROM items
WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0 OR strpos(lower(sku), lower($1)) > 0)
 AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY id DESC LIMIT $3""")
LOCK_ITEM = Query("lock_item", f"{SELECT_ITEM.sql} FOR UPDATE")
UPDATE_ITEM = Query("update_item", f"""{ALSO_WRITING}
UPDATE items SET sku = $15, name = $16, price_cents = $17, description = $18,
 version = version + 1, updated_at = $19 WHERE id = $14""")
DELETE_ITEM = Query("delete_item", f"{ALSO_WRITING} DELETE FROM items WHERE id = $14")
