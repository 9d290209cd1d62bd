/* What limits look like from inside: `disk` fills the file system, `files` opens until it can not. Both end in order. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

static int disk(void) {
    static char piece[1 << 16];
    long total = 0;
    int fd = open("/fill", O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    for (ssize_t put; (put = write(fd, piece, sizeof piece)) > 0;) total += put;
    CHECK(errno == ENOSPC);
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

int main(int argc, char **argv) {
    CHECK(argc == 2);
    return strcmp(argv[1], "disk") ? files() : disk();
}
