/* The configuration for people: --help and --check-config. */

#include "service/config.h"

static tn_str choices_text(tn_arena *arena, const char *const *choices)
{
    tn__buf out = { .arena = arena };
    for (size_t i = 0; choices[i] != NULL; i++) {
        tn__buf_add_z(&out, i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ");
        tn__buf_add_z(&out, choices[i]);
    }
    return tn__buf_str(&out);
}

tn_str tn__variable_allowed(tn_arena *arena, const tn__variable *variable)
{
    switch (variable->kind) {
    case TN__VARIABLE_INT:
        return tn_printf(arena, "a whole number from %lld to %lld", (long long)variable->min,
            (long long)variable->max);
    case TN__VARIABLE_REAL:
        return tn_printf(arena, "a number from %lld to %lld", (long long)variable->min,
            (long long)variable->max);
    case TN__VARIABLE_BOOL:
        return TN_S("true or false");
    case TN__VARIABLE_CHOICE:
        return choices_text(arena, variable->choices);
    case TN__VARIABLE_TEXT:
    case TN__VARIABLE_SECRET:
    case TN__VARIABLE_SECRET_URL:
        break;
    }
    return variable->allowed != NULL ? tn_str_of(variable->allowed) : TN_S("any text");
}

/* What holds when the variable isn't set. */
static const char *default_text(const tn__variable *variable, const tn_service *service)
{
    bool has_messages = service->events.n + service->subscriptions.n > 0;
    bool needed = variable->need == TN__NEEDED ||
        (variable->need == TN__NEEDED_FOR_MESSAGES && has_messages);
    if (needed)
        return "must be set";
    if (variable->fallback_shown != NULL)
        return variable->fallback_shown;
    bool has_fallback = variable->fallback != NULL && variable->fallback[0] != '\0';
    return has_fallback ? variable->fallback : "none";
}

static void add_variable(tn__buf *out, tn_arena *arena, const tn_service *service,
    const tn__variable *variable)
{
    if (variable->group != NULL)
        tn__buf_printf(out, "\n%s:\n", variable->group);
    tn_str allowed = tn__variable_allowed(arena, variable);
    tn__buf_printf(out, "  %s (%s)\n      %s\n      Allowed: %.*s.\n", variable->name,
        default_text(variable, service), variable->help, TN_FMT(allowed));
}

void tn__config_help(tn__buf *out, tn_arena *arena, const tn_service *service)
{
    tn__buf_printf(out,
        "%s %s: %s\n"
        "\n"
        "Usage: %s [--help | --version | --openapi | --asyncapi | --check-config | --migrate |"
        " --health]\n"
        "\n"
        "Without an argument it runs until SIGTERM or SIGINT.\n"
        "  --help          this text\n"
        "  --version       the versions of the API and of trunnion\n"
        "  --openapi       print the OpenAPI document\n"
        "  --asyncapi      print the AsyncAPI document\n"
        "  --check-config  print the configuration, without secrets, or what is wrong with it\n"
        "  --migrate       apply the migrations and end\n"
        "  --health        ask the service that runs with this configuration whether it is ready\n"
        "\n"
        "It is configured by environment variables. Instead of any X, X_FILE may name a file that\n"
        "holds the value. One that is set to nothing counts as not set; what holds then stands in\n"
        "parentheses.\n",
        service->name, service->version, service->summary != NULL ? service->summary : "",
        service->name);
    for (size_t i = 0; i < tn__variables_n; i++)
        add_variable(out, arena, service, &tn__variables[i]);
    tn__buf_add_z(out,
        "\n"
        "Exit status: 0 after a clean stop, 64 for a wrong argument, 70 when it cannot start, 78 when\n"
        "the configuration is wrong.\n");
}

static void add_value(tn__buf *out, tn_arena *arena, const tn__variable *variable,
    const void *value)
{
    switch (variable->kind) {
    case TN__VARIABLE_TEXT:
        tn__buf_add_z(out, *(const char *const *)value);
        break;
    case TN__VARIABLE_SECRET:
        tn__buf_add_z(out, (*(const char *const *)value)[0] != '\0' ? "***" : "");
        break;
    case TN__VARIABLE_SECRET_URL:
        tn__buf_add_str(out, tn__url_masked(arena, tn_str_of(*(const char *const *)value)));
        break;
    case TN__VARIABLE_INT:
        tn__buf_add_i64(out, *(const int64_t *)value);
        break;
    case TN__VARIABLE_REAL:
        tn__json_real(out, *(const double *)value);
        break;
    case TN__VARIABLE_BOOL:
        tn__buf_add_z(out, *(const bool *)value ? "true" : "false");
        break;
    case TN__VARIABLE_CHOICE:
        tn__buf_add_z(out, variable->choices[*(const int64_t *)value]);
        break;
    }
}

void tn__config_show(tn__buf *out, tn_arena *arena, const tn__config *config)
{
    for (size_t i = 0; i < tn__variables_n; i++) {
        const tn__variable *variable = &tn__variables[i];
        tn__buf_add_z(out, variable->name);
        tn__buf_add_char(out, '=');
        add_value(out, arena, variable, (const char *)config + variable->offset);
        tn__buf_add_char(out, '\n');
    }
}
