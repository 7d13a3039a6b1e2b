/* /metrics as Prometheus' text exposition format, version 0.0.4.
 *
 * A histogram's count is the sum of the buckets that were read, so that the lines of one page agree
 * with each other while others go on counting. */

#include "telemetry/metrics.h"

#include <math.h>
#include <stdatomic.h>

void tn__metrics_number(tn__buf *out, double v)
{
    if (isnan(v)) {
        tn__buf_add_z(out, "NaN");
    } else if (isinf(v)) {
        tn__buf_add_z(out, v > 0 ? "+Inf" : "-Inf");
    } else if (v == floor(v) && fabs(v) < 1e15) {
        tn__buf_add_i64(out, (int64_t)v);
    } else {
        tn__json_real(out, v);
    }
}

static void help_write(tn__buf *out, tn_str help)
{
    for (size_t i = 0; i < help.len; i++) {
        if (help.data[i] == '\n') {
            tn__buf_add_z(out, "\\n");
            continue;
        }
        if (help.data[i] == '\\') {
            tn__buf_add_char(out, '\\');
        }
        tn__buf_add_char(out, help.data[i]);
    }
}

void tn__metrics_head(tn__buf *out, tn_str name, tn_str help, tn__metric_kind kind)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    tn__buf_add_z(out, "# HELP ");
    tn__buf_add_str(out, name);
    tn__buf_add_char(out, ' ');
    help_write(out, help);
    tn__buf_add_z(out, "\n# TYPE ");
    tn__buf_add_str(out, name);
    tn__buf_add_char(out, ' ');
    tn__buf_add_z(out, types[kind]);
    tn__buf_add_char(out, '\n');
}

/* One sample; `le` is the upper bound of a bucket, or NULL. */
static void sample(tn__buf *out, const tn__metric *metric, const char *suffix, const double *le,
    double v)
{
    tn__buf_add_str(out, metric->family->name);
    tn__buf_add_z(out, suffix);
    if (metric->labels.len > 0 || le != NULL) {
        tn__buf_add_char(out, '{');
        tn__buf_add_str(out, metric->labels);
        if (le != NULL) {
            tn__buf_add_z(out, metric->labels.len > 0 ? ",le=\"" : "le=\"");
            tn__metrics_number(out, *le);
            tn__buf_add_char(out, '"');
        }
        tn__buf_add_char(out, '}');
    }
    tn__buf_add_char(out, ' ');
    tn__metrics_number(out, v);
    tn__buf_add_char(out, '\n');
}

static void histogram_write(tn__buf *out, const tn__metric *metric)
{
    const tn__family *family = metric->family;
    double total = 0;
    for (size_t i = 0; i <= family->n_bounds; i++) {
        double bound = i < family->n_bounds ? family->bounds[i] : INFINITY;
        total += tn__metrics_cell(metric->cell + i);
        sample(out, metric, "_bucket", &bound, total);
    }
    sample(out, metric, "_sum", NULL, tn__metrics_cell(metric->cell + family->n_bounds + 1));
    sample(out, metric, "_count", NULL, total);
}

static void family_write(void *arg, const tn__family *family)
{
    tn__buf *out = arg;
    tn__metrics_head(out, family->name, family->help, family->kind);
    for (const tn__metric *at = family->first; at != NULL; at = at->next_in_family) {
        if (family->kind == TN__HISTOGRAM) {
            histogram_write(out, at);
            continue;
        }
        double level = atomic_load_explicit(&at->level, memory_order_relaxed);
        sample(out, at, "", NULL, level + tn__metrics_cell(at->cell));
    }
}

void tn__metrics_write(tn__buf *out)
{
    tn__metrics_each(family_write, out);
    tn__metrics_process_write(out);
}
