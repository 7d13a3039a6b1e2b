/* Errors of the server, by SQLSTATE (PostgreSQL documentation, Appendix A). */
#include "pg/failure.h"

#include <string.h>

static const char *field(const PGresult *result, int code)
{
    const char *found = PQresultErrorField(result, code);
    return found == NULL ? "" : found;
}

static bool in_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, 2) == 0;
}

static bool is_one_of(const char *sqlstate, const char *a, const char *b)
{
    return strcmp(sqlstate, a) == 0 || strcmp(sqlstate, b) == 0;
}

static tn__fail_kind kind_of(const PGresult *result, const char *sqlstate, const char *constraint)
{
    if (in_class(sqlstate, "23") && *constraint != '\0')
        return TN__FAIL_CONSTRAINT;
    if (tn__error_may_pass(result) || strcmp(sqlstate, "55P03") == 0 || in_class(sqlstate, "53"))
        return TN__FAIL_BUSY; /* also for the lock timeout, and for lack of resources */
    /* query_canceled: by statement_timeout, or by an administrator. */
    return strcmp(sqlstate, "57014") == 0 ? TN__FAIL_TIMEOUT : TN__FAIL_ERROR;
}

/* The message, which for data exceptions quotes the datum: that part is left out. */
static tn_str message_of(tn_arena *arena, const PGresult *result, const char *sqlstate)
{
    tn_str message = tn_str_of(field(result, PG_DIAG_MESSAGE_PRIMARY));
    if (in_class(sqlstate, "22")) {
        const char *quote = strchr(message.data, '"');
        message.len = quote == NULL ? message.len : (size_t)(quote - message.data);
    }
    return tn_copy(arena, message);
}

void tn__met_error(tn_arena *arena, const PGresult *result, const char *query, tn__met *met)
{
    const char *sqlstate = field(result, PG_DIAG_SQLSTATE);
    const char *constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    *met = (tn__met){
        .failure = {
            .kind = kind_of(result, sqlstate, constraint),
            .constraint = tn_copy(arena, tn_str_of(constraint)),
            .sqlstate = tn_copy(arena, tn_str_of(sqlstate)),
            .query = tn_copy(arena, tn_str_of(query)),
        },
    };
    bool everyday = met->failure.kind == TN__FAIL_CONSTRAINT ||
        (met->failure.kind == TN__FAIL_BUSY && !in_class(sqlstate, "53"));
    if (!everyday)
        met->message = message_of(arena, result, sqlstate);
}

void tn__met_misfit(tn_arena *arena, const char *query, tn_str message, tn__met *met)
{
    *met = (tn__met){
        .failure = { .kind = TN__FAIL_ERROR, .query = tn_copy(arena, tn_str_of(query)) },
        .message = message,
    };
}

bool tn__error_may_pass(const PGresult *result)
{
    const char *sqlstate = field(result, PG_DIAG_SQLSTATE);
    return is_one_of(sqlstate, "40001", "40P01") || strcmp(sqlstate, "26000") == 0 ||
        (strcmp(sqlstate, "0A000") == 0 &&
            strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0);
}

bool tn__error_took_long(const PGresult *result)
{
    const char *sqlstate = field(result, PG_DIAG_SQLSTATE);
    return is_one_of(sqlstate, "55P03", "57014") || strcmp(sqlstate, "40P01") == 0;
}
