/* Descriptors of files: reading, writing, seeking, sizes, flags, renumbering, and what is refused. */
#include "check.h"

static void read_is(__wasi_fd_t fd, __wasi_filesize_t at, const char *wanted) {
    uint8_t data[256] = {0};
    __wasi_iovec_t piece = {data, sizeof data - 1};
    __wasi_size_t got;
    WORKS(__wasi_fd_pread(fd, &piece, 1, at, &got));
    CHECK(got == strlen(wanted) && !memcmp(data, wanted, got));
}

static void write_at(__wasi_fd_t fd, __wasi_filesize_t at, const char *text) {
    __wasi_ciovec_t piece = {(const uint8_t *)text, strlen(text)};
    __wasi_size_t put;
    WORKS(__wasi_fd_pwrite(fd, &piece, 1, at, &put));
    CHECK(put == strlen(text));
}

static __wasi_filesize_t size_of(__wasi_fd_t fd) {
    __wasi_filestat_t stat;
    WORKS(__wasi_fd_filestat_get(fd, &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_REGULAR_FILE && stat.nlink == 1);
    return stat.size;
}

static void seeking(void) {
    __wasi_filesize_t at;
    __wasi_fd_t fd = make("seek", "0123456789");
    WORKS(__wasi_fd_tell(fd, &at));
    CHECK(at == 10);
    WORKS(__wasi_fd_seek(fd, -3, __WASI_WHENCE_END, &at));
    CHECK(at == 7);
    WORKS(__wasi_fd_seek(fd, 1, __WASI_WHENCE_CUR, &at));
    CHECK(at == 8);
    WORKS(__wasi_fd_seek(fd, 100, __WASI_WHENCE_SET, &at));
    CHECK(at == 100 && size_of(fd) == 10);
    GIVES(__wasi_fd_seek(fd, -200, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_INVAL);
    write_at(fd, 12, "x");
    CHECK(size_of(fd) == 13);
    WORKS(__wasi_fd_close(fd));
    GIVES(__wasi_fd_tell(fd, &at), __WASI_ERRNO_BADF);
}

static void sizes(void) {
    __wasi_fd_t fd = make("size", "0123456789");
    WORKS(__wasi_fd_filestat_set_size(fd, 4));
    CHECK(size_of(fd) == 4);
    read_is(fd, 0, "0123");
    WORKS(__wasi_fd_filestat_set_size(fd, 70000));
    CHECK(size_of(fd) == 70000);
    WORKS(__wasi_fd_datasync(fd));
    WORKS(__wasi_fd_sync(fd));
    WORKS(__wasi_fd_advise(fd, 0, 100, __WASI_ADVICE_SEQUENTIAL));
    WORKS(__wasi_fd_advise(fd, 0, 0, __WASI_ADVICE_DONTNEED));
    WORKS(__wasi_fd_close(fd));
}

static void flags(void) {
    __wasi_fdstat_t stat;
    __wasi_size_t put;
    __wasi_fd_t fd = make("append", "start");
    WORKS(__wasi_fd_close(fd));
    WORKS(open_at("append", 0, __WASI_FDFLAGS_APPEND, &fd));
    WORKS(__wasi_fd_fdstat_get(fd, &stat));
    CHECK(stat.fs_flags & __WASI_FDFLAGS_APPEND && stat.fs_filetype == __WASI_FILETYPE_REGULAR_FILE);
    __wasi_ciovec_t piece = {(const uint8_t *)"+end", 4};
    WORKS(__wasi_fd_write(fd, &piece, 1, &put));
    read_is(fd, 0, "start+end");
    WORKS(__wasi_fd_fdstat_set_flags(fd, 0));
    WORKS(__wasi_fd_fdstat_get(fd, &stat));
    CHECK(!(stat.fs_flags & __WASI_FDFLAGS_APPEND));
    WORKS(__wasi_fd_close(fd));
    GIVES(open_at("append", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, 0, &fd), __WASI_ERRNO_EXIST);
    WORKS(open_at("append", __WASI_OFLAGS_TRUNC, 0, &fd));
    CHECK(size_of(fd) == 0);
    WORKS(__wasi_fd_close(fd));
    GIVES(open_at("append", __WASI_OFLAGS_DIRECTORY, 0, &fd), __WASI_ERRNO_NOTDIR);
    GIVES(open_at("missing", 0, 0, &fd), __WASI_ERRNO_NOENT);
}

static void renumbering(void) {
    __wasi_fd_t a = make("a", "aaa"), b = make("b", "bbb");
    WORKS(__wasi_fd_renumber(a, b));
    read_is(b, 0, "aaa");
    __wasi_filesize_t at;
    GIVES(__wasi_fd_tell(a, &at), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_renumber(b, 500), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_renumber(500, b), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_close(b));
}

static void fixture(void) {
    __wasi_fd_t fd;
    WORKS(open_at("file.txt", 0, 0, &fd));
    read_is(fd, 0, "hello from the fixture\n");
    WORKS(__wasi_fd_close(fd));
    WORKS(open_at("dir/nested.txt", 0, 0, &fd));
    read_is(fd, 2, "sted");
    WORKS(__wasi_fd_close(fd));
    WORKS(open_at("empty", 0, 0, &fd));
    CHECK(size_of(fd) == 0);
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", 0, ALL_RIGHTS, 0, 0, &fd));
    read_is(fd, 0, "hello from the fixture\n");
    WORKS(__wasi_fd_close(fd));
    GIVES(open_at("link", 0, 0, &fd), __WASI_ERRNO_LOOP);
}

static void rights(void) {
    __wasi_fd_t fd;
    __wasi_size_t got;
    uint8_t byte;
    __wasi_iovec_t in = {&byte, 1};
    __wasi_ciovec_t out = {&byte, 1};
    WORKS(__wasi_path_open(ROOT, 0, "file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    WORKS(__wasi_fd_read(fd, &in, 1, &got));
    GIVES(__wasi_fd_write(fd, &out, 1, &got), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_close(fd));
}

int main(void) {
    fixture();
    seeking();
    sizes();
    flags();
    renumbering();
    rights();
    return 0;
}
