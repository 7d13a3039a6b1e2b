/* Prints a document of the fixture's service, for linters: documents openapi|asyncapi. */
#include "fixture.h"
#include "schema/schema.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    bool async = argc == 2 && strcmp(argv[1], "asyncapi") == 0;
    if (!async && !(argc == 2 && strcmp(argv[1], "openapi") == 0)) {
        fprintf(stderr, "usage: documents openapi|asyncapi\n");
        return 64;
    }
    tn_arena *arena = tn__arena_open(64 * 1024);
    tn__faults faults;
    tn__tables_check(arena, &orders_service, &faults);
    for (size_t i = 0; i < faults.n; i++)
        fprintf(stderr, "%.*s: %.*s\n", TN_FMT(faults.at[i].pointer), TN_FMT(faults.at[i].detail));
    if (faults.n == 0) {
        tn_str text = async ? tn__asyncapi(arena, &orders_service)
                            : tn__openapi(arena, &orders_service);
        fwrite(text.data, 1, text.len, stdout);
    }
    tn__arena_close(arena);
    return faults.n == 0 ? 0 : 1;
}
