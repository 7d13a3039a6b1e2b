/* Compression for the exporter. At the fastest level: the spans of a batch repeat each other, so
 * that even this leaves about a tenth, and the cores belong to the requests. */

#include "telemetry/otlp_http.h"

#include <assert.h>
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16) /* the largest window, and gzip's head and tail */
#define MEMORY_LEVEL     8         /* zlib's default */

void tn__gzip(tn__buf *out, tn_str bytes)
{
    z_stream stream = { 0 };
    int made = deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL,
        Z_DEFAULT_STRATEGY);
    if (made != Z_OK)
        tn__die("zlib can't be used");
    out->len = 0;
    tn__buf_reserve(out, deflateBound(&stream, bytes.len));
    stream.next_in = (Bytef *)(uintptr_t)bytes.data; /* zlib doesn't write there. */
    stream.avail_in = (uInt)bytes.len;
    stream.next_out = (Bytef *)out->data;
    stream.avail_out = (uInt)out->cap;
    int done = deflate(&stream, Z_FINISH);
    assert(done == Z_STREAM_END); /* deflateBound() said that there is room. */
    (void)done;
    out->len = stream.total_out;
    deflateEnd(&stream);
}
