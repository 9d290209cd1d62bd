/* A trap below functions that have names, which a backtrace shows: this one is built with them. */
#define NAMED __attribute__((noinline))

static volatile int depth;

NAMED static void divide_the_estate(void) {
    depth++;
    __builtin_trap();
}

NAMED static void read_the_will(void) {
    divide_the_estate();
    depth++;
}

NAMED static void gather_the_heirs(void) {
    read_the_will();
    depth++;
}

int main(void) {
    gather_the_heirs();
    return 0;
}
