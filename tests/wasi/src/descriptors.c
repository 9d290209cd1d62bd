/* The rest of what descriptors do: several pieces at once, far offsets, room, advice, files without a name, directories as files. */
#include <errno.h>
#include <unistd.h>

#include "check.h"

static __wasi_filesize_t size_of(__wasi_fd_t fd) {
    __wasi_filestat_t stat;
    WORKS(__wasi_fd_filestat_get(fd, &stat));
    return stat.size;
}

static void pieces(void) {
    char a[4] = {0}, b[8] = {0};
    __wasi_size_t count;
    __wasi_filesize_t at;
    __wasi_fd_t fd = make("pieces", "0123456789");
    WORKS(__wasi_fd_seek(fd, 1, __WASI_WHENCE_SET, &at));
    __wasi_iovec_t in[] = {{(uint8_t *)a, 3}, {NULL, 0}, {(uint8_t *)b, sizeof b}};
    for (__wasi_size_t got = 0; got < 9; got += count) {
        in[0] = (__wasi_iovec_t){(uint8_t *)a + (got < 3 ? got : 3), got < 3 ? 3 - got : 0};
        in[2] = (__wasi_iovec_t){(uint8_t *)b + (got > 3 ? got - 3 : 0), sizeof b - (got > 3 ? got - 3 : 0)};
        WORKS(__wasi_fd_read(fd, in, 3, &count));
        CHECK(count > 0);
    }
    CHECK(!memcmp(a, "123", 3) && !memcmp(b, "456789", 6));
    WORKS(__wasi_fd_read(fd, in, 3, &count));
    CHECK(count == 0);
    WORKS(__wasi_fd_pread(fd, in, 0, 0, &count));
    CHECK(count == 0);
    WORKS(__wasi_fd_pwrite(fd, NULL, 0, 100, &count));
    CHECK(count == 0 && size_of(fd) == 10);
    WORKS(__wasi_fd_tell(fd, &at));
    CHECK(at == 10);
    WORKS(__wasi_fd_close(fd));
}

static void far(void) {
    static const __wasi_filesize_t places[] = {(1ull << 31) - 1, 1ull << 31, (1ull << 32) - 1, (1ull << 32) + 5, 1ull << 33};
    __wasi_fd_t fd = make("far", "");
    __wasi_filesize_t at;
    __wasi_size_t count;
    uint8_t byte = 'x', found;
    __wasi_ciovec_t out = {&byte, 1};
    __wasi_iovec_t in = {&found, 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        byte = (uint8_t)('a' + i);
        WORKS(__wasi_fd_pwrite(fd, &out, 1, places[i], &count));
        CHECK(count == 1 && size_of(fd) == places[i] + 1);
        WORKS(__wasi_fd_pread(fd, &in, 1, places[i], &count));
        CHECK(count == 1 && found == byte);
        WORKS(__wasi_fd_seek(fd, (__wasi_filedelta_t)places[i] + 1, __WASI_WHENCE_SET, &at));
        WORKS(__wasi_fd_read(fd, &in, 1, &count));
        CHECK(at == places[i] + 1 && count == 0);
    }
    WORKS(__wasi_fd_pread(fd, &in, 1, 4096, &count));
    CHECK(count == 1 && found == 0);
    GIVES(__wasi_fd_pread(fd, &in, 1, ~0ull, &count), __WASI_ERRNO_INVAL);
    GIVES(__wasi_fd_pwrite(fd, &out, 1, ~0ull, &count), __WASI_ERRNO_INVAL);
    GIVES(__wasi_fd_filestat_set_size(fd, ~0ull), __WASI_ERRNO_INVAL);
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_unlink_file(ROOT, "far"));
}

static void room(void) {
    __wasi_fd_t fd = make("room", "0123456789");
    GIVES(__wasi_fd_allocate(fd, 0, 100), __WASI_ERRNO_NOTSUP);
    GIVES(__wasi_fd_allocate(99, 0, 1), __WASI_ERRNO_BADF);
    CHECK(size_of(fd) == 10);
    for (__wasi_advice_t how = __WASI_ADVICE_NORMAL; how <= __WASI_ADVICE_NOREUSE; how++) WORKS(__wasi_fd_advise(fd, 2, 6, how));
    WORKS(__wasi_fd_advise(fd, 1ull << 32, 0, __WASI_ADVICE_NORMAL));
    GIVES(__wasi_fd_advise(99, 0, 0, __WASI_ADVICE_NORMAL), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_close(fd));
}

static void appending(void) {
    char data[16] = {0};
    __wasi_size_t count;
    __wasi_filesize_t at;
    __wasi_fd_t fd;
    WORKS(__wasi_fd_close(make("log", "one")));
    WORKS(open_at("log", 0, __WASI_FDFLAGS_APPEND, &fd));
    __wasi_ciovec_t out = {(const uint8_t *)",two", 4};
    WORKS(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    WORKS(__wasi_fd_write(fd, &out, 1, &count));
    CHECK(size_of(fd) == 7);
    WORKS(__wasi_fd_tell(fd, &at));
    CHECK(at == 7);
    WORKS(__wasi_fd_fdstat_set_flags(fd, 0));
    WORKS(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    out.buf = (const uint8_t *)"ONE.";
    WORKS(__wasi_fd_write(fd, &out, 1, &count));
    WORKS(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    out.buf = (const uint8_t *)",end";
    WORKS(__wasi_fd_write(fd, &out, 1, &count));
    __wasi_iovec_t in = {(uint8_t *)data, sizeof data - 1};
    WORKS(__wasi_fd_pread(fd, &in, 1, 0, &count));
    CHECK(count == 11 && !strcmp(data, "ONE.two,end"));
    GIVES(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_SYNC), __WASI_ERRNO_INVAL);
    WORKS(__wasi_fd_close(fd));
}

static void without_a_name(void) {
    __wasi_fd_t fd, dir, found;
    __wasi_size_t count;
    uint8_t data[4];
    __wasi_iovec_t in = {data, sizeof data};
    fd = make("nameless", "kept");
    WORKS(__wasi_path_unlink_file(ROOT, "nameless"));
    GIVES(open_at("nameless", 0, 0, &found), __WASI_ERRNO_NOENT);
    WORKS(__wasi_fd_pread(fd, &in, 1, 0, &count));
    CHECK(count == 4 && !memcmp(data, "kept", 4));
    __wasi_filestat_t stat;
    WORKS(__wasi_fd_filestat_get(fd, &stat));
    CHECK(stat.nlink == 0);
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_create_directory(ROOT, "nameless"));
    WORKS(open_at("nameless", __WASI_OFLAGS_DIRECTORY, 0, &dir));
    WORKS(__wasi_path_remove_directory(ROOT, "nameless"));
    GIVES(__wasi_path_open(dir, 0, "x", __WASI_OFLAGS_CREAT, ALL_RIGHTS, 0, 0, &fd), __WASI_ERRNO_NOENT);
    WORKS(__wasi_fd_close(dir));
}

static void directories_are_no_files(void) {
    __wasi_fd_t dir, fd;
    __wasi_size_t count;
    __wasi_filesize_t at;
    __wasi_filestat_t stat;
    uint8_t byte = 0;
    __wasi_iovec_t in = {&byte, 1};
    __wasi_ciovec_t out = {&byte, 1};
    WORKS(open_at("dir", __WASI_OFLAGS_DIRECTORY, 0, &dir));
    GIVES(__wasi_fd_read(dir, &in, 1, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_pread(dir, &in, 1, 0, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_write(dir, &out, 1, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_pwrite(dir, &out, 1, 0, &count), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_seek(dir, 0, __WASI_WHENCE_SET, &at), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_tell(dir, &at), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_filestat_set_size(dir, 0), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_advise(dir, 0, 0, __WASI_ADVICE_NORMAL), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_allocate(dir, 0, 1), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_filestat_get(dir, &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_DIRECTORY);
    WORKS(__wasi_fd_filestat_set_times(dir, 1000, 2000, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    WORKS(__wasi_fd_filestat_get(dir, &stat));
    CHECK(stat.atim == 1000 && stat.mtim == 2000);
    GIVES(__wasi_fd_sync(dir), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_close(dir));
    GIVES(__wasi_path_open(ROOT, 0, "dir", 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd), __WASI_ERRNO_ISDIR);
    GIVES(open_at("dir", __WASI_OFLAGS_CREAT, 0, &fd), __WASI_ERRNO_ISDIR);
    GIVES(open_at("dir", __WASI_OFLAGS_TRUNC, 0, &fd), __WASI_ERRNO_ISDIR);
    GIVES(open_at("dir", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_DIRECTORY, 0, &fd), __WASI_ERRNO_INVAL);
    GIVES(open_at("dir", __WASI_OFLAGS_EXCL | __WASI_OFLAGS_CREAT, 0, &fd), __WASI_ERRNO_EXIST);
}

static void files_are_no_directories(void) {
    __wasi_fd_t fd;
    __wasi_size_t used;
    uint8_t data[64];
    WORKS(open_at("file.txt", 0, 0, &fd));
    GIVES(__wasi_fd_readdir(fd, data, sizeof data, 0, &used), __WASI_ERRNO_BADF);
    CHECK(!isatty((int)fd) && errno == ENOTTY);
    WORKS(__wasi_fd_close(fd));
}

static void flags(void) {
    static const __wasi_fdflags_t kinds[] = {__WASI_FDFLAGS_APPEND, __WASI_FDFLAGS_NONBLOCK};
    __wasi_fd_t fd;
    __wasi_fdstat_t stat;
    WORKS(__wasi_fd_close(make("flags", "x")));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        WORKS(open_at("flags", 0, kinds[i], &fd));
        WORKS(__wasi_fd_fdstat_get(fd, &stat));
        CHECK(stat.fs_flags == kinds[i]);
        WORKS(__wasi_fd_close(fd));
    }
    GIVES(__wasi_fd_fdstat_get(99, &stat), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_fdstat_set_flags(99, 0), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_sync(99), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_datasync(99), __WASI_ERRNO_BADF);
}

static void numbers_are_free_again(void) {
    __wasi_fd_t first, fd;
    WORKS(open_at("file.txt", 0, 0, &first));
    WORKS(__wasi_fd_close(first));
    for (int i = 0; i < 2000; i++) {
        WORKS(open_at("file.txt", 0, 0, &fd));
        CHECK(fd == first);
        WORKS(__wasi_fd_close(fd));
    }
    GIVES(__wasi_fd_close(first), __WASI_ERRNO_BADF);
    WORKS(open_at("file.txt", 0, 0, &first));
    WORKS(__wasi_fd_renumber(first, first));
    WORKS(__wasi_fd_close(first));
}

int main(void) {
    pieces();
    far();
    room();
    appending();
    without_a_name();
    directories_are_no_files();
    files_are_no_directories();
    flags();
    numbers_are_free_again();
    return 0;
}
