/* The problems that the chassis itself answers with (RFC 9457), as a table: the documents list them,
 * the server sends them, and /problems/<slug> says what each one means. */
#pragma once

typedef enum {
    TN__BAD_REQUEST,
    TN__KEY_MISSING,
    TN__KEY_INVALID,
    TN__NOT_FOUND,
    TN__METHOD_NOT_ALLOWED,
    TN__NOT_ACCEPTABLE,
    TN__REQUEST_TIMEOUT,
    TN__KEY_IN_USE,
    TN__CONFLICT,
    TN__PRECONDITION,
    TN__CONTENT_TOO_LARGE,
    TN__URI_TOO_LONG,
    TN__UNSUPPORTED_MEDIA_TYPE,
    TN__KEY_REUSED,
    TN__VALIDATION,
    TN__HEADER_TOO_LARGE,
    TN__INTERNAL_ERROR,
    TN__UNAVAILABLE,
    TN__GATEWAY_TIMEOUT,
    TN__SLUGS,
} tn__slug;

typedef struct {
    int status;
    const char *slug, *title;
    const char *meaning; /* for the page that describes it */
} tn__problem_type;

extern const tn__problem_type tn__problem_types[TN__SLUGS];

/* The reason phrase of a status (RFC 9110 15), such as "Not Found"; "Error" for one without. */
const char *tn__status_phrase(int status);
