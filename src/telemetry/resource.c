/* The resource that spans come from: OpenTelemetry's attributes of a service, of this library, of
 * the process and of its host.
 *
 * What OTEL_RESOURCE_ATTRIBUTES says stands above all but OTEL_SERVICE_NAME, as the specification
 * asks. Only what is known without asking anybody is told. */

#include "telemetry/otlp.h"

#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef TN__VERSION
#define TN__VERSION "unknown"
#endif

enum { RESOURCE_ATTRIBUTES = 1 };
enum { ATTRIBUTES_MAX = 128 };

typedef struct {
    tn_log_field at[ATTRIBUTES_MAX];
    size_t n;
} attributes;

/* Sets it, in place of what it was. What finds no room is left out. */
static void set(attributes *all, tn_log_field attribute)
{
    size_t i = 0;
    while (i < all->n && strcmp(all->at[i].name, attribute.name) != 0)
        i++;
    if (i < ATTRIBUTES_MAX) {
        all->at[i] = attribute;
        all->n += i == all->n;
    }
}

static void set_text(attributes *all, const char *name, const char *value)
{
    set(all, TN_LOG_Z(name, value));
}

static void set_given(void *arg, tn_arena *arena, tn_str key, tn_str value)
{
    set(arg, TN_LOG_S(tn_copy(arena, key).data, tn_copy(arena, value)));
}

static void set_service(attributes *all, tn_arena *arena, const tn__tracing_options *options)
{
    char *instance = tn_alloc(arena, 36 + 1);
    tn__uuid_write(tn_uuid_v7(), instance);
    set_text(all, "service.name", options->service);
    set_text(all, "service.version", options->version);
    set_text(all, "service.instance.id", instance);
    set_text(all, "telemetry.sdk.language", "c");
    set_text(all, "telemetry.sdk.name", "trunnion");
    set_text(all, "telemetry.sdk.version", TN__VERSION);
}

/* The names that OpenTelemetry has for what the kernel calls otherwise. */
static const char *architecture(const char *machine)
{
    if (strcmp(machine, "x86_64") == 0)
        return "amd64";
    return strcmp(machine, "aarch64") == 0 ? "arm64" : machine;
}

static void set_host(attributes *all, tn_arena *arena)
{
    struct utsname host;
    set_text(all, "os.type", "linux");
    if (uname(&host) == 0) {
        set(all, TN_LOG_S("host.name", tn_copy(arena, tn_str_of(host.nodename))));
        set(all, TN_LOG_S("host.arch", tn_copy(arena, tn_str_of(architecture(host.machine)))));
    }
    set(all, TN_LOG_I("process.pid", getpid()));
    set_text(all, "process.executable.name", program_invocation_short_name);
}

void tn__otlp_pairs(const char *text,
    void (*each)(void *arg, tn_arena *arena, tn_str key, tn_str value), tn_arena *arena, void *arg)
{
    tn_str rest = tn_str_of(text), pair, key, value;
    while (tn__str_cut(&rest, ',', &pair)) {
        bool is_pair = memchr(pair.data, '=', pair.len) != NULL && tn__str_cut(&pair, '=', &key);
        if (is_pair && tn__percent_decode(arena, tn__str_trim(pair), false, &value) &&
            tn__str_trim(key).len > 0)
            each(arg, arena, tn__str_trim(key), value);
    }
}

void tn__otlp_add_resource(tn__buf *out, const tn__tracing_options *options)
{
    tn_arena *arena = tn__arena_open(4096);
    attributes *all = tn_alloc(arena, sizeof *all);
    set_service(all, arena, options);
    set_host(all, arena);
    tn__otlp_pairs(options->resource_attributes, set_given, arena, all);
    if (options->service_name != NULL && options->service_name[0] != '\0')
        set_text(all, "service.name", options->service_name);
    for (size_t i = 0; i < all->n; i++)
        tn__otlp_add_attribute(out, RESOURCE_ATTRIBUTES, &all->at[i]);
    tn__arena_close(arena);
}
