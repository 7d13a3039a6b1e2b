/* Checks a service's tables, at start and in tests, for what the compiler can't see.
 *
 * A fault here is a slip of the service's author. Each names the table's row; all are found at once.
 * What runs later may rely on what is checked here: patterns compile, fallbacks keep their rules,
 * names in braces have fields. */
#include "schema/check.h"
#include "schema/fault.h"
#include "schema/pattern.h"
#include "schema/problems.h"

void tn__check_fail(tn__checker *c, tn_str place, const char *format, ...)
{
    tn__reporter r = { .arena = c->arena, .faults = c->faults };
    if (!tn__fault_wanted(&r))
        return;
    va_list args;
    va_start(args, format);
    tn_str detail = tn_vprintf(c->arena, format, args);
    va_end(args);
    c->faults->at[c->faults->n++] = (tn__fault){ .pointer = place, .detail = detail };
}

bool tn__is_identifier(tn_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char a = name.data[i];
        bool letter = (a >= 'a' && a <= 'z') || (a >= 'A' && a <= 'Z') || a == '_';
        if (!letter && !(i > 0 && a >= '0' && a <= '9'))
            return false;
    }
    return name.len > 0;
}

bool tn__is_like(const char *text, const char *pattern)
{
    return text != NULL && strlen(text) <= TN__PATTERN_CHARS_MAX &&
        tn__pattern_matches(pattern, tn_str_of(text));
}

bool tn__is_scalar(const tn_field *field)
{
    return field->kind != TN_KIND_JSON && field->kind != TN_KIND_OBJECT &&
        field->kind != TN_KIND_ARRAY;
}

/* ---- The service itself ------------------------------------------------- */

static const char SLUG[] = "^[a-z][a-z0-9-]*$";

static void check_service(tn__checker *c, const tn_service *service)
{
    tn_str place = TN_S("service");
    if (!tn__is_like(service->name, SLUG))
        tn__check_fail(c, place, "the name must be like %s", SLUG);
    static const char SEMVER[] = "^[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$";
    if (!tn__is_like(service->version, SEMVER))
        tn__check_fail(c, place, "the version must be a semantic version such as 1.0.0");
}

/* ---- Problems ----------------------------------------------------------- */

static bool is_chassis_slug(const char *slug)
{
    for (size_t i = 0; i < TN__SLUGS; i++)
        if (strcmp(tn__problem_types[i].slug, slug) == 0)
            return true;
    return false;
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Several constraints may lead to one problem, which then must be one: same status, same title. */
static void check_problem_pair(tn__checker *c, tn_str place, const tn_problem *a,
    const tn_problem *b)
{
    if (is_same(a->constraint, b->constraint))
        tn__check_fail(c, place, "the constraint %s has two problems", a->constraint);
    if (!is_same(a->type, b->type))
        return;
    bool alike = a->status == b->status && is_same(a->title, b->title);
    if (!alike || a->constraint == NULL || b->constraint == NULL)
        tn__check_fail(c, place, "the type is in the table twice");
}

static void check_problem(tn__checker *c, const tn_problem *problem)
{
    tn_str place = tn_printf(c->arena, "problem %s", problem->type == NULL ? "?" : problem->type);
    if (!tn__is_like(problem->type, SLUG))
        tn__check_fail(c, place, "the type must be like %s", SLUG);
    else if (is_chassis_slug(problem->type))
        tn__check_fail(c, place, "the chassis has a problem of this type");
    if (problem->status < 400 || problem->status > 599)
        tn__check_fail(c, place, "the status must be from 400 to 599, found %d", problem->status);
    if (problem->title == NULL || *problem->title == '\0')
        tn__check_fail(c, place, "the title is missing");
    if (problem->constraint != NULL && *problem->constraint == '\0')
        tn__check_fail(c, place, "the constraint is empty; NULL means none");
}

static void check_problems(tn__checker *c, const tn_service *service)
{
    for (size_t i = 0; i < service->problems.n; i++) {
        const tn_problem *problem = &service->problems.at[i];
        check_problem(c, problem);
        tn_str place = tn_printf(c->arena, "problem %s",
            problem->type == NULL ? "?" : problem->type);
        for (size_t j = 0; j < i; j++)
            check_problem_pair(c, place, &service->problems.at[j], problem);
    }
}

/* ---- Migrations --------------------------------------------------------- */

static void check_migrations(tn__checker *c, const tn_service *service)
{
    const char *before = "";
    for (size_t i = 0; i < service->migrations.n; i++) {
        const tn_migration *step = &service->migrations.at[i];
        const char *name = step->name == NULL ? "?" : step->name;
        tn_str place = tn_printf(c->arena, "migration %s", name);
        if (!tn__is_like(name, "^[0-9]{4}_[a-z0-9_]+\\.sql$"))
            tn__check_fail(c, place, "the name must be like 0001_items.sql");
        else if (strcmp(before, name) >= 0)
            tn__check_fail(c, place, "it must come before %s", before);
        if (step->sql == NULL || *step->sql == '\0')
            tn__check_fail(c, place, "it has no SQL");
        before = name;
    }
}

void tn__tables_check(tn_arena *arena, const tn_service *service, tn__faults *faults)
{
    tn__faults_reset(faults);
    tn__checker *c = tn_alloc(arena, sizeof *c);
    c->arena = arena;
    c->faults = faults;
    check_service(c, service);
    check_problems(c, service);
    tn__check_routes(c, service);
    tn__check_events(c, service);
    check_migrations(c, service);
}
