/* Random bytes fill what they are asked to, and differ. */
#include "check.h"

int main(void) {
    static uint8_t a[100000], b[100000];
    WORKS(__wasi_random_get(a, 0));
    WORKS(__wasi_random_get(a, sizeof a));
    WORKS(__wasi_random_get(b, sizeof b));
    CHECK(memcmp(a, b, sizeof a));
    int zeros = 0;
    for (size_t i = 0; i < sizeof a; i++) zeros += !a[i];
    CHECK(zeros > 200 && zeros < 700);
    return 0;
}
