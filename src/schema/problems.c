/* The chassis's problems. Titles never vary from one occurrence to the next; what varies is in the
 * answer's detail. */
#include "schema/problems.h"

#include <stddef.h>

const tn__problem_type tn__problem_types[TN__SLUGS] = {
    [TN__BAD_REQUEST] = { 400, "bad-request", "The request is malformed.",
        "The request can't be read: its JSON, its path or its header is not what the syntax asks "
        "for. The detail says where." },
    [TN__KEY_MISSING] = { 400, "idempotency-key-missing", "An Idempotency-Key is required.",
        "The operation changes something, and a key makes it safe to send again. Send a header "
        "Idempotency-Key with a value of your own, such as a UUID, and the same one on each retry." },
    [TN__KEY_INVALID] = { 400, "idempotency-key-invalid", "The Idempotency-Key is not valid.",
        "A key has 1 to 255 visible ASCII characters, with or without quotes around them." },
    [TN__NOT_FOUND] = { 404, "not-found", "There is no such resource.",
        "Nothing is at this path, or the thing that it names doesn't exist." },
    [TN__METHOD_NOT_ALLOWED] = { 405, "method-not-allowed", "The method is not allowed here.",
        "The header Allow lists the methods of this path." },
    [TN__NOT_ACCEPTABLE] = { 406, "not-acceptable", "No acceptable representation.",
        "The header Accept excludes what the operation answers with." },
    [TN__REQUEST_TIMEOUT] = { 408, "request-timeout", "The request took too long to arrive.",
        "The whole request has to arrive within the time that the service allows." },
    [TN__KEY_IN_USE] = { 409, "idempotency-key-in-use", "The request is still being worked on.",
        "A request with this Idempotency-Key has not been answered yet. Try again after the time in "
        "Retry-After: the answer will then be that of the first." },
    [TN__CONFLICT] = { 409, "conflict", "The request conflicts with what is there.",
        "What is stored does not allow the change, such as a name that must be unique." },
    [TN__PRECONDITION] = { 412, "precondition-failed", "The resource has changed.",
        "The header If-Match or If-None-Match names another version than the current one. Read it "
        "again, and decide anew." },
    [TN__CONTENT_TOO_LARGE] = { 413, "content-too-large", "The body is too large.",
        "The detail says how large a body may be." },
    [TN__URI_TOO_LONG] = { 414, "uri-too-long", "The request target is too long.",
        "Path and query together are longer than the service reads." },
    [TN__UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported-media-type",
        "The body is not of a supported type.",
        "A body has to come as application/json in UTF-8, a merge patch also as "
        "application/merge-patch+json." },
    [TN__KEY_REUSED] = { 422, "idempotency-key-reused",
        "The Idempotency-Key was used for another request.",
        "The key belongs to a request with another body or query. Use a new key for a new request." },
    [TN__VALIDATION] = { 422, "validation-failed", "The request has values that are not valid.",
        "The member errors lists all of them, each with its place: a JSON Pointer into the body, or "
        "the name of a parameter." },
    [TN__HEADER_TOO_LARGE] = { 431, "header-fields-too-large", "The header is too large.",
        "The fields of the header together are longer than the service reads." },
    [TN__INTERNAL_ERROR] = { 500, "internal-error", "The service failed.",
        "It is not the request's fault. The service's log tells more under the request_id." },
    [TN__UNAVAILABLE] = { 503, "service-unavailable", "The service can't answer now.",
        "It is overloaded, stopping, or something that it needs is away. Try again after the time "
        "in Retry-After, with the same Idempotency-Key." },
    [TN__GATEWAY_TIMEOUT] = { 504, "gateway-timeout", "The answer took too long.",
        "The service gave up after the time that a request may take. Whether it took effect is not "
        "known: try again with the same Idempotency-Key." },
};

const char *tn__status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 205, "Reset Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 402, "Payment Required" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 423, "Locked" },
        { 424, "Failed Dependency" },
        { 425, "Too Early" },
        { 426, "Upgrade Required" },
        { 428, "Precondition Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 451, "Unavailable For Legal Reasons" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 507, "Insufficient Storage" },
        { 508, "Loop Detected" },
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Error";
}
