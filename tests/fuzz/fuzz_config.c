/* Any lines as an environment: read by the table of variables.
 *
 * Always: a fault is one short line of UTF-8; what is in force, when it is shown and read again, is
 * the same; and the password of a URL is told nowhere, whatever comes after it. */
#include "fuzz.h"

#include "service/config.h"

enum { VARIABLES_MAX = 64 };

#define PASSWORD "s3cr3t"

static const tn_event *const events[1];
static const tn_service service = { .name = "fuzzed", .version = "1.0.0", .events = { events, 1 } };

/* Files are left out: their content goes the way of a value, and their names lead anywhere. */
static size_t split(tn_arena *arena, tn_str text, const char **environment)
{
    size_t n = 0;
    tn_str line;
    while (n < VARIABLES_MAX && tn__str_cut(&text, '\n', &line))
        if (memmem(line.data, line.len, "_FILE=", 6) == NULL)
            environment[n++] = tn_copy(arena, line).data;
    environment[n] = NULL;
    return n;
}

static bool holds(tn_str text, const char *part)
{
    return text.len > 0 && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static void told_well(const tn__faults *faults, bool taken)
{
    always(taken == (faults->n == 0));
    for (size_t i = 0; i < faults->n; i++) {
        always(faults->at[i].detail.len > 0 && faults->at[i].detail.len < 1000);
        always(tn__utf8_valid(faults->at[i].detail));
        always(!holds(faults->at[i].detail, "\n"));
    }
}

static tn_str shown(tn_arena *arena, const tn__config *config)
{
    tn__buf out = { .arena = arena };
    tn__config_show(&out, arena, config);
    return tn__buf_str(&out);
}

static void reads_back(tn_arena *arena, const tn__config *config, tn__faults *faults)
{
    const char *environment[VARIABLES_MAX + 1];
    tn__config again;
    tn_str text = shown(arena, config);
    split(arena, text, environment);
    always(tn__config_load(arena, &service, environment, TN__TO_RUN, &again, faults));
    always(tn_str_eq(text, shown(arena, &again)));
}

static void hides(tn_arena *arena, const char *rest)
{
    const char *environment[] = {
        tn_printf(arena, "DATABASE_URL=postgresql://u:" PASSWORD "%s", rest).data,
        tn_printf(arena, "AMQP_URL=amqp://u:" PASSWORD "%s", rest).data,
        tn_printf(arena, "OTEL_EXPORTER_OTLP_ENDPOINT=http://u:" PASSWORD "%s", rest).data,
        NULL,
    };
    tn__config config;
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    if (strstr(rest, PASSWORD) != NULL)
        return;
    bool taken = tn__config_load(arena, &service, environment, TN__TO_RUN, &config, faults);
    for (size_t i = 0; i < faults->n; i++)
        always(!holds(faults->at[i].detail, PASSWORD));
    always(!taken || !holds(shown(arena, &config), PASSWORD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tn_arena *arena = tn__arena_open(4096);
    const char *environment[VARIABLES_MAX + 1];
    size_t n = split(arena, (tn_str){ (const char *)data, size }, environment);
    tn__config config;
    tn__faults *faults = tn_alloc(arena, sizeof *faults);
    bool taken = tn__config_load(arena, &service, environment, TN__TO_RUN, &config, faults);
    told_well(faults, taken);
    if (taken)
        reads_back(arena, &config, faults);
    if (n > 0)
        hides(arena, environment[0]);
    tn__arena_close(arena);
    return 0;
}
