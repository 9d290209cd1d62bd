/* Workloads as their limits meet them; the first argument says which. All that can end in order do. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static char piece[1 << 16];

static void put(int fd, const char *data, size_t size) {
    for (ssize_t done = 0, sent; (size_t)done < size; done += sent) {
        sent = write(fd, data + done, size - (size_t)done);
        CHECK(sent > 0);
    }
}

/* Writes to a file until there is no room, and says how many MiB fitted; then frees them and writes again. */
static int disk(void) {
    long total = 0;
    int fd = open("/fill", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    for (ssize_t sent; (sent = write(fd, piece, sizeof piece)) > 0;) total += sent;
    CHECK(errno == ENOSPC);
    CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && write(fd, piece, sizeof piece) == sizeof piece);
    printf("%ld\n", total >> 20);
    return 0;
}

static int files(void) {
    int count = 0;
    while (open("/file.txt", O_RDONLY) >= 0) count++;
    CHECK(errno == EMFILE || errno == ENFILE || errno == EIO); /* wasmtime has no word for the first two */
    printf("%d\n", count);
    return 0;
}

/* Takes memory until it is refused, and touches all of it. Returns how many MiB. */
static int take_memory(void) {
    int count = 0;
    char *volatile found; /* else the compiler sees that nobody needs it */
    for (; (found = malloc(1 << 20)); count++) memset(found, count + 1, 1 << 20);
    CHECK(errno == ENOMEM);
    return count;
}

static void abort_after(int mebibytes) {
    fprintf(stderr, "refused after %d MiB\n", mebibytes);
    abort();
}

static int cat(void) {
    ssize_t got;
    while ((got = read(0, piece, sizeof piece)) > 0) put(1, piece, (size_t)got);
    return got < 0;
}

/* Answers each line as soon as it comes. */
static int lines(void) {
    char line[256];
    for (int i = 1; fgets(line, sizeof line, stdin); i++) {
        printf("%d: %s", i, line);
        fflush(stdout);
    }
    return 0;
}

static int slow(int count, int milliseconds) {
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    for (int i = 1; i <= count; i++) {
        printf("%d of %d\n", i, count);
        fflush(stdout);
        CHECK(nanosleep(&pause, NULL) == 0);
    }
    return 0;
}

static int flood(long mebibytes) {
    memset(piece, 'f', sizeof piece);
    for (long i = 0; i < mebibytes * 16; i++) put(1, piece, sizeof piece);
    return 0;
}

static int both(void) {
    for (int i = 0; i < 3; i++) {
        put(1, "to stdout\n", 10);
        put(2, "to stderr\n", 10);
    }
    return 0;
}

/* Prints a secret; it can be neither changed nor joined by others. */
static int secret(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "/run/secrets/%s", name);
    CHECK(open(path, O_WRONLY) < 0 && errno == EPERM);
    CHECK(unlink(path) < 0 && errno == EPERM);
    CHECK(open("/run/secrets/another", O_WRONLY | O_CREAT, 0600) < 0 && errno == EPERM);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t got = read(fd, piece, sizeof piece);
    CHECK(got >= 0);
    put(1, piece, (size_t)got);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    const char *first = argc > 2 ? argv[2] : "0";
    if (!strcmp(what, "disk")) return disk();
    if (!strcmp(what, "files")) return files();
    if (!strcmp(what, "cat")) return cat();
    if (!strcmp(what, "lines")) return lines();
    if (!strcmp(what, "both")) return both();
    if (!strcmp(what, "secret")) return secret(first);
    if (!strcmp(what, "flood")) return flood(atol(first));
    if (!strcmp(what, "slow")) return slow(atoi(first), argc > 3 ? atoi(argv[3]) : 0);
    if (!strcmp(what, "memory")) return printf("%d\n", take_memory()) < 0;
    if (!strcmp(what, "hog")) abort_after(take_memory());
    if (!strcmp(what, "sleep")) return slow(1, 1 << 30);
    for (volatile long i = 0; !strcmp(what, "spin"); i++) continue;
    fprintf(stderr, "limits: %s is none of them\n", what);
    return 2;
}
