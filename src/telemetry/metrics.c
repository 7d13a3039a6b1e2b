/* The registry of metrics, and the cells that they are counted in.
 *
 * Each thread that counts has a block of cells of its own; a series owns the same places in all of
 * them. A cell is written by its thread alone, with plain moves, and read by the scrape, so counting
 * takes no lock and shares no cache line. The block of a thread that ends is added to `retired`: a
 * counter never goes down. Blocks are large and mostly never touched: they cost address space, and
 * memory only for the series there are.
 *
 * Everything here is of the process, as /metrics is. The lock guards the registry and the list of
 * blocks, never a cell. */

#include "telemetry/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CELLS_MAX   65536
#define CELLS_BYTES (CELLS_MAX * sizeof(_Atomic double))
#define CELLS_KEPT  4096 /* for the series "other" */
#define BUCKETS     1024
#define LABELS_MAX  8
#define OTHER_VALUE "other"

typedef struct block {
    _Atomic double *cells; /* CELLS_MAX */
    struct block *next;
} block;

static struct {
    pthread_mutex_t lock;
    tn__family *families, *last_family;
    tn__metric *buckets[BUCKETS];
    size_t n_series, n_cells;
    block *blocks;
    block retired;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- Cells -------------------------------------------------------------- */

static pthread_key_t block_key;
static pthread_once_t block_key_once = PTHREAD_ONCE_INIT;
/* Thread-local because that is the point of it. */
static _Thread_local block *thread_block;

static double cell_read(const block *b, size_t cell)
{
    return b->cells == NULL ? 0 : atomic_load_explicit(&b->cells[cell], memory_order_relaxed);
}

/* Only the thread that owns the block may add: hence no read-modify-write. */
static void cell_add(block *b, size_t cell, double v)
{
    double now = atomic_load_explicit(&b->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&b->cells[cell], now + v, memory_order_relaxed);
}

/* Fresh pages, each of which exists from its first use on; calloc might clear recycled ones. */
static _Atomic double *cells_make(void)
{
    void *cells = mmap(NULL, CELLS_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED)
        abort(); /* As when malloc has nothing left. */
    return cells;
}

static void block_unlink(const block *gone)
{
    block **at = &registry.blocks;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
}

static void block_retire(void *arg)
{
    block *mine = arg;
    pthread_mutex_lock(&registry.lock);
    if (registry.retired.cells == NULL)
        registry.retired.cells = cells_make();
    for (size_t cell = 0; cell < registry.n_cells; cell++)
        cell_add(&registry.retired, cell, cell_read(mine, cell));
    block_unlink(mine);
    pthread_mutex_unlock(&registry.lock);
    thread_block = NULL;
    munmap((void *)mine->cells, CELLS_BYTES);
    free(mine);
}

static void block_key_make(void)
{
    pthread_key_create(&block_key, block_retire);
}

static block *block_make(void)
{
    pthread_once(&block_key_once, block_key_make);
    block *mine = tn__xcalloc(1, sizeof *mine);
    mine->cells = cells_make();
    pthread_setspecific(block_key, mine);
    pthread_mutex_lock(&registry.lock);
    mine->next = registry.blocks;
    registry.blocks = mine;
    pthread_mutex_unlock(&registry.lock);
    thread_block = mine;
    return mine;
}

static void count(size_t cell, double v)
{
    block *mine = thread_block != NULL ? thread_block : block_make();
    cell_add(mine, cell, v);
}

double tn__metrics_cell(size_t cell)
{
    double sum = cell_read(&registry.retired, cell);
    for (const block *b = registry.blocks; b != NULL; b = b->next)
        sum += cell_read(b, cell);
    return sum;
}

/* ---- The registry ------------------------------------------------------- */

static size_t cells_of(const tn__family *family)
{
    return family->kind == TN__HISTOGRAM ? family->n_bounds + 2 : 1;
}

static void escape_label(tn__buf *out, const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            tn__buf_add_z(out, "\\n");
            continue;
        }
        if (*at == '\\' || *at == '"')
            tn__buf_add_char(out, '\\');
        tn__buf_add_char(out, *at);
    }
}

static void labels_write(tn__buf *out, const tn__label *labels, size_t n, const char *instead)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            tn__buf_add_char(out, ',');
        tn__buf_add_z(out, labels[i].name);
        tn__buf_add_z(out, "=\"");
        escape_label(out, instead != NULL ? instead : labels[i].value);
        tn__buf_add_char(out, '"');
    }
}

static size_t bucket_of(tn_str name, tn_str labels)
{
    return (tn__hash(name) ^ (tn__hash(labels) * 31)) % BUCKETS;
}

static tn__metric *metric_find(tn_str name, tn_str labels)
{
    tn__metric *at = registry.buckets[bucket_of(name, labels)];
    while (at != NULL && !(tn_str_eq(at->labels, labels) && tn_str_eq(at->family->name, name)))
        at = at->next_in_bucket;
    return at;
}

/* Takes the bytes that `labels` holds. */
static tn__metric *metric_make(tn__family *family, tn_str labels)
{
    tn__metric *metric = tn__xcalloc(1, sizeof *metric);
    metric->family = family;
    metric->labels = labels;
    metric->cell = registry.n_cells;
    registry.n_cells += cells_of(family);
    registry.n_series++;
    if (family->last == NULL)
        family->first = metric;
    else
        family->last->next_in_family = metric;
    family->last = metric;
    size_t bucket = bucket_of(family->name, labels);
    metric->next_in_bucket = registry.buckets[bucket];
    registry.buckets[bucket] = metric;
    return metric;
}

static tn_str copy_of(const char *z)
{
    tn__buf buf = { 0 };
    tn__buf_add_z(&buf, z);
    return tn__buf_str(&buf);
}

static tn__family *family_find(tn_str name)
{
    tn__family *at = registry.families;
    while (at != NULL && !tn_str_eq(at->name, name))
        at = at->next;
    return at;
}

static tn__family *family_make(const tn__family *like, const char *name, const char *help)
{
    tn__family *family = tn__xcalloc(1, sizeof *family);
    *family = *like;
    family->name = copy_of(name);
    family->help = copy_of(help);
    if (like->n_bounds > 0) {
        family->bounds = tn__xmalloc(like->n_bounds * sizeof *family->bounds);
        memcpy(family->bounds, like->bounds, like->n_bounds * sizeof *family->bounds);
    }
    if (registry.last_family == NULL)
        registry.families = family;
    else
        registry.last_family->next = family;
    registry.last_family = family;
    return family;
}

static bool has_room(const tn__family *family)
{
    return registry.n_series < TN__SERIES_MAX &&
        registry.n_cells + cells_of(family) <= CELLS_MAX - CELLS_KEPT;
}

static tn__metric *other_of(tn__family *family, const tn__label *labels, size_t n)
{
    if (family->other == NULL) {
        tn__buf text = { 0 };
        labels_write(&text, labels, n, OTHER_VALUE);
        assert(registry.n_cells + cells_of(family) <= CELLS_MAX);
        family->other = metric_make(family, tn__buf_str(&text));
    }
    return family->other;
}

static tn__metric *metric_of(const tn__family *like, const char *name, const char *help,
    const tn__label *labels, size_t n)
{
    assert(n <= LABELS_MAX);
    tn__buf text = { 0 };
    labels_write(&text, labels, n, NULL);
    pthread_mutex_lock(&registry.lock);
    tn__metric *metric = metric_find(tn_str_of(name), tn__buf_str(&text));
    if (metric == NULL) {
        tn__family *family = family_find(tn_str_of(name));
        if (family == NULL)
            family = family_make(like, name, help);
        assert(family->kind == like->kind && family->n_bounds == like->n_bounds);
        if (has_room(family)) {
            metric = metric_make(family, tn__buf_str(&text));
            text = (tn__buf){ 0 };
        } else {
            metric = other_of(family, labels, n);
        }
    }
    assert(metric->family->kind == like->kind);
    pthread_mutex_unlock(&registry.lock);
    tn__buf_deinit(&text);
    return metric;
}

tn__metric *tn__counter(const char *name, const char *help, const tn__label *labels, size_t n)
{
    return metric_of(&(tn__family){ .kind = TN__COUNTER }, name, help, labels, n);
}

tn__metric *tn__gauge(const char *name, const char *help, const tn__label *labels, size_t n)
{
    return metric_of(&(tn__family){ .kind = TN__GAUGE }, name, help, labels, n);
}

tn__metric *tn__histogram(const char *name, const char *help, const double *bounds, size_t n_bounds,
    const tn__label *labels, size_t n)
{
    assert(n_bounds > 0);
    tn__family like = { .kind = TN__HISTOGRAM, .n_bounds = n_bounds };
    like.bounds = (double *)(uintptr_t)bounds; /* Only to be copied. */
    return metric_of(&like, name, help, labels, n);
}

void tn__metrics_each(void (*each)(void *arg, const tn__family *family), void *arg)
{
    pthread_mutex_lock(&registry.lock);
    for (const tn__family *family = registry.families; family != NULL; family = family->next)
        each(arg, family);
    pthread_mutex_unlock(&registry.lock);
}

/* ---- Counting ----------------------------------------------------------- */

void tn__metric_add(tn__metric *metric, double v)
{
    assert(metric->family->kind != TN__HISTOGRAM);
    assert(metric->family->kind == TN__GAUGE || v >= 0);
    count(metric->cell, v);
}

void tn__metric_set(tn__metric *metric, double v)
{
    assert(metric->family->kind == TN__GAUGE);
    atomic_store_explicit(&metric->level, v, memory_order_relaxed);
}

static size_t bucket_for(const tn__family *family, double v)
{
    size_t bucket = 0;
    while (bucket < family->n_bounds && v > family->bounds[bucket])
        bucket++;
    return bucket;
}

static tn__exemplar *exemplars_of(tn__metric *metric)
{
    tn__exemplar *there = atomic_load_explicit(&metric->exemplars, memory_order_acquire);
    if (there != NULL)
        return there;
    tn__exemplar *made = tn__xcalloc(metric->family->n_bounds + 1, sizeof *made);
    if (!atomic_compare_exchange_strong(&metric->exemplars, &there, made)) {
        free(made); /* Another thread was first. */
        return there;
    }
    return made;
}

void tn__metric_observe_in(tn__metric *metric, double v, const tn__trace *trace)
{
    const tn__family *family = metric->family;
    assert(family->kind == TN__HISTOGRAM);
    assert(v == v);
    size_t bucket = bucket_for(family, v);
    count(metric->cell + bucket, 1);
    count(metric->cell + family->n_bounds + 1, v);
    if (trace != NULL && (trace->flags & TN__TRACE_SAMPLED) != 0)
        tn__exemplar_offer(&exemplars_of(metric)[bucket], v, trace);
}

void tn__metric_observe(tn__metric *metric, double v)
{
    tn__metric_observe_in(metric, v, NULL);
}
