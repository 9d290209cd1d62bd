/* Clocks go forward, have a resolution, and those that a guest may not have are refused. poll_oneoff sleeps. */
#include "check.h"

static uint64_t now(__wasi_clockid_t clock) {
    __wasi_timestamp_t time;
    WORKS(__wasi_clock_time_get(clock, 0, &time));
    return time;
}

static uint64_t slept(__wasi_clockid_t clock, uint64_t until, __wasi_subclockflags_t flags) {
    __wasi_subscription_t wish = {.userdata = 42, .u = {.tag = __WASI_EVENTTYPE_CLOCK}};
    wish.u.u.clock = (__wasi_subscription_clock_t){.id = clock, .timeout = until, .precision = 0, .flags = flags};
    __wasi_event_t event;
    __wasi_size_t count;
    uint64_t start = now(__WASI_CLOCKID_MONOTONIC);
    WORKS(__wasi_poll_oneoff(&wish, &event, 1, &count));
    CHECK(count == 1 && event.userdata == 42 && event.error == 0 && event.type == __WASI_EVENTTYPE_CLOCK);
    return now(__WASI_CLOCKID_MONOTONIC) - start;
}

int main(void) {
    __wasi_timestamp_t value;
    WORKS(__wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &value));
    CHECK(value > 0);
    WORKS(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &value));
    CHECK(value > 0);
    CHECK(now(__WASI_CLOCKID_REALTIME) > 1700000000ull * 1000000000);
    for (int i = 0; i < 1000; i++) {
        uint64_t before = now(__WASI_CLOCKID_MONOTONIC);
        CHECK(now(__WASI_CLOCKID_MONOTONIC) >= before);
    }
    GIVES(__wasi_clock_time_get(__WASI_CLOCKID_PROCESS_CPUTIME_ID, 0, &value), __WASI_ERRNO_BADF);
    CHECK(slept(__WASI_CLOCKID_MONOTONIC, 50000000, 0) >= 50000000);
    CHECK(slept(__WASI_CLOCKID_REALTIME, 20000000, 0) >= 20000000);
    uint64_t goal = now(__WASI_CLOCKID_MONOTONIC) + 30000000;
    slept(__WASI_CLOCKID_MONOTONIC, goal, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    CHECK(now(__WASI_CLOCKID_MONOTONIC) >= goal);
    __wasi_size_t count;
    GIVES(__wasi_poll_oneoff(NULL, NULL, 0, &count), __WASI_ERRNO_INVAL);
    WORKS(__wasi_sched_yield());
    return 0;
}
