/* Stdio: not seekable, not directories, readable and writable as they should be; sockets there are none. */
#include "check.h"

int main(void) {
    __wasi_fdstat_t stat;
    __wasi_filesize_t offset;
    __wasi_size_t count;
    char text[64];
    WORKS(__wasi_fd_fdstat_get(0, &stat));
    WORKS(__wasi_fd_fdstat_get(1, &stat));
    CHECK(stat.fs_filetype != __WASI_FILETYPE_DIRECTORY && stat.fs_filetype != __WASI_FILETYPE_REGULAR_FILE);
    GIVES(__wasi_fd_seek(1, 0, __WASI_WHENCE_CUR, &offset), __WASI_ERRNO_SPIPE);
    GIVES(__wasi_fd_tell(0, &offset), __WASI_ERRNO_SPIPE);
    CHECK(fgets(text, sizeof text, stdin) && !strcmp(text, "line one\n"));
    CHECK(fgets(text, sizeof text, stdin) && !strcmp(text, "line two"));
    CHECK(!fgets(text, sizeof text, stdin) && feof(stdin));
    __wasi_ciovec_t pieces[3] = {{(const uint8_t *)"one", 3}, {NULL, 0}, {(const uint8_t *)" two\n", 5}};
    WORKS(__wasi_fd_write(1, pieces, 3, &count));
    CHECK(count == 3 || count == 8);
    if (count == 3) WORKS(__wasi_fd_write(1, pieces + 2, 1, &count));
    GIVES(__wasi_fd_write(99, pieces, 1, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), __WASI_ERRNO_BADF);
    GIVES(__wasi_sock_shutdown(ROOT, __WASI_SDFLAGS_RD), __WASI_ERRNO_NOTSOCK);
    GIVES(__wasi_fd_close(99), __WASI_ERRNO_BADF);
    return 0;
}
