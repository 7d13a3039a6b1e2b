/* Paths of routes and what stands in their braces. */
#pragma once

#include "schema/schema.h"

/* Segments and parameters that a route may have, below /api/v1. */
#define TN__PATH_SEGMENTS_MAX 12
#define TN__PATH_BRACES_MAX   8

/* The next name in braces at or after `*at`, which moves behind it; false when there is none. */
bool tn__path_brace(const char **at, tn_str *name);
/* "GET", "POST", ... */
const char *tn__verb(tn_method method);
/* GET /orders/{id} as get_orders_by_id: the operationId. A NUL follows, as after tn_copy(). */
tn_str tn__operation_id(tn_arena *arena, const tn_route *route);
/* order_new as OrderNew, item.created as ItemCreated, stock.* as StockAny, stock.# as StockAll. A NUL follows. */
tn_str tn__pascal(tn_arena *arena, const char *name);
