/* What every program here needs: CHECK names the case that failed and ends with 1. Descriptor 3 is the root of the fixture. */
#ifndef CHECK_H
#define CHECK_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE_NAME__, __LINE__, #condition);   \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

/* The call gives exactly this error (0 for none). */
#define GIVES(call, wanted)                                                                                   \
    do {                                                                                                      \
        __wasi_errno_t got_ = (call);                                                                         \
        if (got_ != (wanted)) {                                                                               \
            fprintf(stderr, "%s:%d: %s gave %d, wanted %d\n", __FILE_NAME__, __LINE__, #call, got_, (wanted)); \
            exit(1);                                                                                          \
        }                                                                                                     \
    } while (0)
#define WORKS(call) GIVES(call, 0)

enum { ROOT = 3 };
#define ALL_RIGHTS (__WASI_RIGHTS_FD_DATASYNC | __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_SYNC | __WASI_RIGHTS_FD_TELL | \
    __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_ADVISE | __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FILESTAT_GET | \
    __WASI_RIGHTS_FD_FILESTAT_SET_SIZE | __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS)

static inline __wasi_errno_t open_at(const char *path, __wasi_oflags_t how, __wasi_fdflags_t flags, __wasi_fd_t *fd) {
    __wasi_rights_t rights = how & __WASI_OFLAGS_DIRECTORY ? __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_PATH_OPEN : ALL_RIGHTS;
    return __wasi_path_open(ROOT, 0, path, how, rights, rights, flags, fd);
}

static inline __wasi_fd_t make(const char *path, const char *content) {
    __wasi_fd_t fd;
    __wasi_size_t put;
    WORKS(open_at(path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, 0, &fd));
    __wasi_ciovec_t piece = {(const uint8_t *)content, strlen(content)};
    WORKS(__wasi_fd_write(fd, &piece, 1, &put));
    CHECK(put == strlen(content));
    return fd;
}
#endif
