/* The documents, made once. */

#include "service/service.h"

/* The text decides its tag, so that replicas of one version agree on it. */
static tn__document document(tn_arena *arena, tn_str text)
{
    tn_str etag = tn_printf(arena, "\"%016llx\"", (unsigned long long)tn__hash(text));
    return (tn__document){ .text = text, .etag = etag.data };
}

void tn__documents_make(tn_arena *arena, const tn_service *service, tn__documents *documents)
{
    documents->openapi = document(arena, tn__openapi(arena, service));
    documents->asyncapi = document(arena, tn__asyncapi(arena, service));
}
