/* Recursion without end: a trap, and no more than a trap. */
#include "check.h"

__attribute__((noinline)) static long deeper(volatile long n) { return n < 0 ? n : n + deeper(n + 1) + n; }

int main(void) {
    printf("%ld\n", deeper(1));
    return 0;
}
