/* What the parts of the metrics share: the families and series, as the writers of text see them. */
#pragma once

#include "telemetry/exemplar.h"
#include "telemetry/telemetry.h"

typedef enum { TN__COUNTER, TN__GAUGE, TN__HISTOGRAM } tn__metric_kind;

typedef struct tn__family tn__family;

/* One series: a family's name with one set of labels. Its cells stand at `cell` in each thread's
 * block: one for a counter or a gauge; for a histogram one a bucket, one for +Inf and one for the
 * sum. `level` is what a gauge was set to. */
struct tn__metric {
    tn__family *family;
    tn_str labels; /* method="GET",route="/items": escaped, as it stands between the braces */
    size_t cell;
    _Atomic double level;
    _Atomic(tn__exemplar *) exemplars; /* of a histogram: one a bucket; NULL until there is one */
    tn__metric *next_in_family, *next_in_bucket;
};

struct tn__family {
    tn_str name, help;
    tn__metric_kind kind;
    double *bounds;
    size_t n_bounds;
    tn__metric *first, *last; /* series, in the order of their making */
    tn__metric *other;        /* counts what found no room */
    tn__family *next;
};

/* Calls each(arg, family) for every family with the registry locked, in the order of their making. */
void tn__metrics_each(void (*each)(void *arg, const tn__family *family), void *arg);
/* The sum of a cell over all threads, those that ended included. Only inside tn__metrics_each(). */
double tn__metrics_cell(size_t cell);

/* A page that is being written, in one of the two formats. */
typedef struct {
    tn__buf *out;
    bool openmetrics;
} tn__metrics_page;

/* The process_* metrics, which are read when asked for. */
void tn__metrics_process_write(const tn__metrics_page *page);
/* A family of one sample without labels. */
void tn__metrics_value(const tn__metrics_page *page, const char *name, const char *help,
    tn__metric_kind kind, double v);
