/* The environment is what was given and nothing else. */
#include "check.h"

int main(void) {
    __wasi_size_t count, size;
    WORKS(__wasi_environ_sizes_get(&count, &size));
    CHECK(count == 3);
    CHECK(size == sizeof "A=b" + sizeof "EMPTY=" + sizeof "WITH=x=y z");
    CHECK(!strcmp(getenv("A"), "b") && !strcmp(getenv("EMPTY"), "") && !strcmp(getenv("WITH"), "x=y z"));
    CHECK(!getenv("HOME") && !getenv("PATH"));
    return 0;
}
