/* /metrics as text: Prometheus' exposition format 0.0.4, and OpenMetrics 1.0.0.
 *
 * They differ in this: OpenMetrics calls a counter's family by its name without _total, tells units,
 * writes bounds with a fraction, knows exemplars, and ends with a line that says so.
 *
 * A histogram's count is the sum of the buckets that were read, so that the lines of one page agree
 * with each other while others go on counting. */

#include "telemetry/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>

/* ---- Pieces ------------------------------------------------------------- */

static void add_number(tn__buf *out, double v)
{
    if (isnan(v))
        tn__buf_add_z(out, "NaN");
    else if (isinf(v))
        tn__buf_add_z(out, v > 0 ? "+Inf" : "-Inf");
    else if (v == floor(v) && fabs(v) < 1e15)
        tn__buf_add_i64(out, (int64_t)v);
    else
        tn__json_real(out, v);
}

/* A bound names its series, so that each format has one way to write it. */
static void add_bound(const tn__metrics_page *page, double bound)
{
    add_number(page->out, bound);
    if (page->openmetrics && bound == floor(bound) && fabs(bound) < 1e15)
        tn__buf_add_z(page->out, ".0");
}

static void add_help(const tn__metrics_page *page, tn_str help)
{
    for (size_t i = 0; i < help.len; i++) {
        char c = help.data[i];
        if (c == '\n') {
            tn__buf_add_z(page->out, "\\n");
            continue;
        }
        if (c == '\\' || (c == '"' && page->openmetrics))
            tn__buf_add_char(page->out, '\\');
        tn__buf_add_char(page->out, c);
    }
}

static bool has_suffix(tn_str s, tn_str suffix)
{
    return s.len > suffix.len && memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0;
}

static tn_str without_total(tn_str name)
{
    return has_suffix(name, TN_S("_total")) ? (tn_str){ name.data, name.len - 6 } : name;
}

/* What a family is called, without what its samples add. */
static tn_str family_name(const tn__metrics_page *page, tn_str name, tn__metric_kind kind)
{
    return page->openmetrics && kind == TN__COUNTER ? without_total(name) : name;
}

/* ---- Families ----------------------------------------------------------- */

static void add_descriptor(tn__buf *out, const char *what, tn_str name)
{
    tn__buf_add_z(out, "# ");
    tn__buf_add_z(out, what);
    tn__buf_add_char(out, ' ');
    tn__buf_add_str(out, name);
    tn__buf_add_char(out, ' ');
}

/* The unit is the end of the name. */
static void add_unit(const tn__metrics_page *page, tn_str name)
{
    static const char *const units[] = { "seconds", "bytes", "ratio" };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i]);
        bool ends_so = has_suffix(name, tn_str_of(units[i]));
        if (ends_so && name.len > len && name.data[name.len - len - 1] == '_') {
            add_descriptor(page->out, "UNIT", name);
            tn__buf_add_z(page->out, units[i]);
            tn__buf_add_char(page->out, '\n');
        }
    }
}

static void add_head(const tn__metrics_page *page, tn_str name, tn_str help, tn__metric_kind kind)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    name = family_name(page, name, kind);
    add_descriptor(page->out, "HELP", name);
    add_help(page, help);
    tn__buf_add_char(page->out, '\n');
    add_descriptor(page->out, "TYPE", name);
    tn__buf_add_z(page->out, types[kind]);
    tn__buf_add_char(page->out, '\n');
    if (page->openmetrics)
        add_unit(page, name);
}

/* The name of a sample: in OpenMetrics each counter's ends with _total. */
static void add_name(const tn__metrics_page *page, tn_str name, tn__metric_kind kind,
    const char *suffix)
{
    tn__buf_add_str(page->out, family_name(page, name, kind));
    if (page->openmetrics && kind == TN__COUNTER)
        tn__buf_add_z(page->out, "_total");
    tn__buf_add_z(page->out, suffix);
}

void tn__metrics_value(const tn__metrics_page *page, const char *name, const char *help,
    tn__metric_kind kind, double v)
{
    add_head(page, tn_str_of(name), tn_str_of(help), kind);
    add_name(page, tn_str_of(name), kind, "");
    tn__buf_add_char(page->out, ' ');
    add_number(page->out, v);
    tn__buf_add_char(page->out, '\n');
}

/* ---- Series ------------------------------------------------------------- */

/* One sample without the end of its line; `le` is the upper bound of a bucket, or NULL. */
static void add_sample(const tn__metrics_page *page, const tn__metric *metric, const char *suffix,
    const double *le, double v)
{
    tn__buf *out = page->out;
    add_name(page, metric->family->name, metric->family->kind, suffix);
    if (metric->labels.len > 0 || le != NULL) {
        tn__buf_add_char(out, '{');
        tn__buf_add_str(out, metric->labels);
        if (le != NULL) {
            tn__buf_add_z(out, metric->labels.len > 0 ? ",le=\"" : "le=\"");
            add_bound(page, *le);
            tn__buf_add_char(out, '"');
        }
        tn__buf_add_char(out, '}');
    }
    tn__buf_add_char(out, ' ');
    add_number(out, v);
}

static void add_exemplar(const tn__metrics_page *page, const tn__metric *metric, size_t bucket)
{
    tn__exemplar *all = atomic_load_explicit(&metric->exemplars, memory_order_acquire);
    tn__exemplar_seen seen;
    if (!page->openmetrics || all == NULL || !tn__exemplar_read(&all[bucket], &seen))
        return;
    char trace_id[32], span_id[16];
    tn__trace_ids_write(&seen.trace, trace_id, span_id);
    tn__buf_printf(page->out, " # {trace_id=\"%.*s\",span_id=\"%.*s\"} ", (int)sizeof trace_id,
        trace_id, (int)sizeof span_id, span_id);
    add_number(page->out, seen.value);
    tn__buf_printf(page->out, " %" PRId64 ".%06" PRId64, seen.at.us / 1000000,
        seen.at.us % 1000000);
}

static void write_histogram(const tn__metrics_page *page, const tn__metric *metric)
{
    const tn__family *family = metric->family;
    double total = 0;
    for (size_t i = 0; i <= family->n_bounds; i++) {
        double bound = i < family->n_bounds ? family->bounds[i] : INFINITY;
        total += tn__metrics_cell(metric->cell + i);
        add_sample(page, metric, "_bucket", &bound, total);
        add_exemplar(page, metric, i);
        tn__buf_add_char(page->out, '\n');
    }
    add_sample(page, metric, "_sum", NULL, tn__metrics_cell(metric->cell + family->n_bounds + 1));
    tn__buf_add_char(page->out, '\n');
    add_sample(page, metric, "_count", NULL, total);
    tn__buf_add_char(page->out, '\n');
}

static void write_family(void *arg, const tn__family *family)
{
    const tn__metrics_page *page = arg;
    add_head(page, family->name, family->help, family->kind);
    for (const tn__metric *at = family->first; at != NULL; at = at->next_in_family) {
        if (family->kind == TN__HISTOGRAM) {
            write_histogram(page, at);
            continue;
        }
        double level = atomic_load_explicit(&at->level, memory_order_relaxed);
        add_sample(page, at, "", NULL, level + tn__metrics_cell(at->cell));
        tn__buf_add_char(page->out, '\n');
    }
}

/* ---- Pages -------------------------------------------------------------- */

static void write_page(tn__metrics_page *page)
{
    tn__metrics_each(write_family, page);
    tn__metrics_process_write(page);
}

void tn__metrics_write(tn__buf *out)
{
    write_page(&(tn__metrics_page){ .out = out });
}

void tn__openmetrics_write(tn__buf *out)
{
    write_page(&(tn__metrics_page){ .out = out, .openmetrics = true });
    tn__buf_add_z(out, "# EOF\n");
}
