/* poll_oneoff: clocks beside one another, files and stdio that are ready, and invalid descriptors. */
#define _DEFAULT_SOURCE
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { FIRST = 100, SECOND = 200, MILLISECOND = 1000000 };

static __wasi_event_t events[8];

static __wasi_subscription_t timer(uint64_t name, __wasi_clockid_t clock, uint64_t when, __wasi_subclockflags_t flags) {
    __wasi_subscription_t wish = {.userdata = name, .u = {.tag = __WASI_EVENTTYPE_CLOCK}};
    wish.u.u.clock = (__wasi_subscription_clock_t){.id = clock, .timeout = when, .flags = flags};
    return wish;
}

static __wasi_subscription_t ready(uint64_t name, __wasi_eventtype_t type, __wasi_fd_t fd) {
    __wasi_subscription_t wish = {.userdata = name, .u = {.tag = type}};
    wish.u.u.fd_read.file_descriptor = fd;
    return wish;
}

static const __wasi_event_t *named(uint64_t name, __wasi_size_t count) {
    for (__wasi_size_t i = 0; i < count; i++)
        if (events[i].userdata == name) return &events[i];
    return NULL;
}

static uint64_t now(__wasi_clockid_t clock) {
    __wasi_timestamp_t time;
    WORKS(__wasi_clock_time_get(clock, 0, &time));
    return time;
}

static void the_earlier_timer_wins(void) {
    __wasi_size_t count;
    __wasi_subscription_t wishes[] = {
        timer(FIRST, __WASI_CLOCKID_MONOTONIC, 60000ull * MILLISECOND, 0),
        timer(SECOND, __WASI_CLOCKID_MONOTONIC, 10 * MILLISECOND, 0),
    };
    uint64_t start = now(__WASI_CLOCKID_MONOTONIC);
    WORKS(__wasi_poll_oneoff(wishes, events, 2, &count));
    CHECK(count == 1 && named(SECOND, count) && named(SECOND, count)->error == 0);
    CHECK(now(__WASI_CLOCKID_MONOTONIC) - start >= 10 * MILLISECOND);
}

static void a_past_time_is_at_once(void) {
    __wasi_size_t count;
    __wasi_subscription_t wish = timer(FIRST, __WASI_CLOCKID_REALTIME, 1, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    uint64_t start = now(__WASI_CLOCKID_MONOTONIC);
    WORKS(__wasi_poll_oneoff(&wish, events, 1, &count));
    CHECK(count == 1 && now(__WASI_CLOCKID_MONOTONIC) - start < 5000ull * MILLISECOND);
    uint64_t goal = now(__WASI_CLOCKID_REALTIME) + 10 * MILLISECOND;
    wish = timer(FIRST, __WASI_CLOCKID_REALTIME, goal, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    WORKS(__wasi_poll_oneoff(&wish, events, 1, &count));
    CHECK(count == 1 && now(__WASI_CLOCKID_REALTIME) >= goal);
}

static void many_short_sleeps(void) {
    struct timespec little = {.tv_nsec = 1};
    for (int i = 0; i < 1000; i++) CHECK(nanosleep(&little, NULL) == 0);
    CHECK(usleep(1000) == 0);
}

static void files_are_always_ready(void) {
    __wasi_size_t count;
    __wasi_fd_t fd = make("polled", "content");
    __wasi_subscription_t wishes[] = {
        ready(FIRST, __WASI_EVENTTYPE_FD_READ, fd),
        ready(SECOND, __WASI_EVENTTYPE_FD_WRITE, fd),
    };
    for (int i = 0; i < 2; i++) {
        WORKS(__wasi_poll_oneoff(&wishes[i], events, 1, &count));
        CHECK(count == 1 && events[0].userdata == wishes[i].userdata);
        CHECK(events[0].error == 0 && events[0].type == wishes[i].u.tag);
    }
    WORKS(__wasi_poll_oneoff(wishes, events, 2, &count)); /* the one that is found first may be told alone */
    CHECK(count >= 1 && events[0].error == 0);
    WORKS(__wasi_fd_close(fd));
}

static void stdio_is_ready(void) {
    __wasi_size_t count;
    char data[16];
    __wasi_subscription_t wishes[] = {
        ready(FIRST, __WASI_EVENTTYPE_FD_WRITE, 1),
        timer(SECOND, __WASI_CLOCKID_MONOTONIC, 20000ull * MILLISECOND, 0),
    };
    WORKS(__wasi_poll_oneoff(wishes, events, 2, &count));
    CHECK(named(FIRST, count) && !named(SECOND, count) && named(FIRST, count)->error == 0);
    for (const char *wanted = "input";; wanted = "") {
        wishes[0] = ready(FIRST, __WASI_EVENTTYPE_FD_READ, 0);
        WORKS(__wasi_poll_oneoff(wishes, events, 2, &count));
        CHECK(named(FIRST, count) && !named(SECOND, count) && named(FIRST, count)->error == 0);
        CHECK(read(0, data, sizeof data) == (ssize_t)strlen(wanted));
        if (!*wanted) break;
        CHECK(!memcmp(data, wanted, strlen(wanted)));
    }
}

static void what_is_refused(void) {
    __wasi_size_t count;
    __wasi_subscription_t wish = ready(FIRST, __WASI_EVENTTYPE_FD_READ, 99);
    GIVES(__wasi_poll_oneoff(&wish, events, 1, &count), __WASI_ERRNO_BADF);
    wish = ready(FIRST, __WASI_EVENTTYPE_FD_READ, ROOT);
    GIVES(__wasi_poll_oneoff(&wish, events, 1, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_poll_oneoff(&wish, events, 0, &count), __WASI_ERRNO_INVAL);
}

int main(void) {
    the_earlier_timer_wins();
    a_past_time_is_at_once();
    many_short_sleeps();
    files_are_always_ready();
    stdio_is_ready();
    what_is_refused();
    return 0;
}
