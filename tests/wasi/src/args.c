/* Arguments come whole and in order; their sizes are told beforehand. */
#include "check.h"

int main(int argc, char **argv) {
    __wasi_size_t count, size;
    WORKS(__wasi_args_sizes_get(&count, &size));
    CHECK(count == 4 && argc == 4);
    CHECK(size == strlen(argv[0]) + 1 + sizeof "first" + sizeof "the \"second\" one" + sizeof "");
    CHECK(!strcmp(argv[1], "first") && !strcmp(argv[2], "the \"second\" one") && !strcmp(argv[3], ""));
    return 0;
}
