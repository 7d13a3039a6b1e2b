/* Log lines: what is on each, and where it goes.
 *
 * A line is put together in a buffer of its thread and handed over whole. Until tn__log_open() and
 * after tn__log_close(), lines go straight to standard error: a program that never opens the log
 * (a test, say) still shows them. There is one log a process, as there is one standard output: hence
 * the state of this file, which only those two functions change, while there is one thread. */

#include "telemetry/log_queue.h"
#include "telemetry/telemetry.h"

#include "loop/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_BYTES_MAX 1048576
#define VALUE_BYTES_MAX 4096
#define FIELDS_MAX      32
#define LINE_KEPT_BYTES 16384
#define CLOSE_MS        1000

static struct {
    tn__log_queue *queue;
    tn__buf tail; /* ,"service":...,"version":... as they stand on every line */
} the_log;

static _Atomic tn_level level_now = TN_INFO;

/* ---- A buffer for each thread ------------------------------------------- */

static pthread_key_t buf_key;
static pthread_once_t buf_key_once = PTHREAD_ONCE_INIT;
/* Thread-local because a line is built without a lock. */
static _Thread_local tn__buf *thread_buf;

static void buf_free(void *buf)
{
    thread_buf = NULL;
    tn__buf_deinit(buf);
    free(buf);
}

static void buf_key_make(void)
{
    pthread_key_create(&buf_key, buf_free);
}

static tn__buf *line_buf(void)
{
    if (thread_buf == NULL) {
        pthread_once(&buf_key_once, buf_key_make);
        thread_buf = tn__xcalloc(1, sizeof *thread_buf);
        pthread_setspecific(buf_key, thread_buf);
    }
    thread_buf->len = 0;
    return thread_buf;
}

/* One long line should not cost its thread the memory for good. */
static void line_buf_trim(tn__buf *buf)
{
    if (buf->cap > LINE_KEPT_BYTES)
        tn__buf_deinit(buf);
}

/* ---- A line ------------------------------------------------------------- */

static const char *level_name(tn_level level)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    assert(level >= TN_DEBUG && level <= TN_ERROR);
    return names[level];
}

/* Names are words of the program, with nothing to escape. */
static void add_name(tn__buf *line, const char *name)
{
    tn__buf_add(line, ",\"", 2);
    tn__buf_add_z(line, name);
    tn__buf_add(line, "\":", 2);
}

/* A value that is too long is cut: a line has a limit too. UTF-8 that the cut breaks becomes
 * U+FFFD in tn__json_str. */
static void add_str(tn__buf *line, const char *name, tn_str value)
{
    if (value.len > VALUE_BYTES_MAX)
        value.len = VALUE_BYTES_MAX;
    add_name(line, name);
    tn__json_str(line, value);
}

static void add_field(tn__buf *line, const tn_log_field *field)
{
    if (field->kind == TN_LOG_STR) {
        add_str(line, field->name, field->s);
        return;
    }
    add_name(line, field->name);
    switch (field->kind) {
    case TN_LOG_INT:
        tn__buf_add_i64(line, field->i);
        break;
    case TN_LOG_REAL:
        tn__json_real(line, field->d);
        break;
    case TN_LOG_BOOL:
        tn__buf_add_z(line, field->b ? "true" : "false");
        break;
    case TN_LOG_STR:
        break;
    }
}

static void add_context(tn__buf *line)
{
    const tn__log_context *context = *tn__co_slot();
    if (context == NULL)
        return;
    if (context->request_id.len > 0)
        add_str(line, "request_id", context->request_id);
    if (context->trace_id.len > 0)
        add_str(line, "trace_id", context->trace_id);
    if (context->span_id.len > 0)
        add_str(line, "span_id", context->span_id);
}

static void add_head(tn__buf *line, tn_level level, const char *message)
{
    tn__buf_add_z(line, "{\"timestamp\":");
    tn__json_time(line, tn_now());
    tn__buf_add_z(line, ",\"level\":\"");
    tn__buf_add_z(line, level_name(level));
    tn__buf_add_char(line, '"');
    add_str(line, "message", tn_str_of(message));
    tn__buf_add_str(line, tn__buf_str(&the_log.tail));
}

/* The order of a batch of lines is that of their hand-over, which can differ from that of their
 * timestamps by the time it takes to write one. */
void tn_log(tn_level level, const char *message, const tn_log_field *fields, size_t n_fields)
{
    assert(message != NULL);
    assert(n_fields <= FIELDS_MAX);
    if (level < atomic_load_explicit(&level_now, memory_order_relaxed))
        return;
    tn__buf *line = line_buf();
    add_head(line, level, message);
    add_context(line);
    for (size_t i = 0; i < n_fields; i++)
        add_field(line, &fields[i]);
    tn__buf_add_z(line, "}\n");
    if (the_log.queue != NULL) {
        tn__log_queue_add(the_log.queue, tn__buf_str(line));
    } else if (write(STDERR_FILENO, line->data, line->len) < 0) {
        /* There is nowhere left to tell of it. */
    }
    line_buf_trim(line);
}

void tn__log_context_set(const tn__log_context *context)
{
    /* The slot is a plain pointer for whoever owns the coroutine; this layer never writes to it. */
    *tn__co_slot() = (void *)(uintptr_t)context;
}

const tn__trace *tn__trace_current(void)
{
    const tn__log_context *context = *tn__co_slot();
    return context == NULL ? NULL : context->trace;
}

/* ---- The log ------------------------------------------------------------ */

static void dropped_line(tn__buf *line, uint64_t n)
{
    add_head(line, TN_WARN, "log lines dropped: nobody reads standard output fast enough");
    tn__buf_add_z(line, ",\"dropped\":");
    tn__buf_add_i64(line, (int64_t)n);
    tn__buf_add_z(line, "}\n");
}

void tn__log_open(const char *service, const char *version, tn_level level)
{
    assert(the_log.queue == NULL);
    the_log.tail.len = 0;
    add_str(&the_log.tail, "service", tn_str_of(service));
    add_str(&the_log.tail, "version", tn_str_of(version));
    tn__log_level(level);
    the_log.queue = tn__log_queue_open(&(tn__log_queue_options){
        .fd = STDOUT_FILENO,
        .bytes_max = QUEUE_BYTES_MAX,
        .on_dropped = dropped_line,
    });
}

void tn__log_level(tn_level level)
{
    assert(level >= TN_DEBUG && level <= TN_ERROR);
    atomic_store_explicit(&level_now, level, memory_order_relaxed);
}

uint64_t tn__log_dropped(void)
{
    return the_log.queue != NULL ? tn__log_queue_dropped(the_log.queue) : 0;
}

void tn__log_flush(void)
{
    if (the_log.queue != NULL)
        tn__log_queue_flush(the_log.queue, CLOSE_MS);
}

void tn__log_close(void)
{
    tn__log_queue *queue = the_log.queue;
    if (queue == NULL)
        return;
    the_log.queue = NULL;
    if (tn__log_queue_close(queue, CLOSE_MS))
        tn__buf_deinit(&the_log.tail); /* Else the writer may still need it for its last line. */
}
