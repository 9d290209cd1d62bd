/* Links: symbolic ones are read, followed or not; hard ones share a file; none leads out. */
#include "check.h"

static void reading(void) {
    uint8_t data[64];
    __wasi_size_t got;
    WORKS(__wasi_path_symlink("target name", ROOT, "symbolic"));
    WORKS(__wasi_path_readlink(ROOT, "symbolic", data, sizeof data, &got));
    CHECK(got == 11 && !memcmp(data, "target name", 11));
    WORKS(__wasi_path_readlink(ROOT, "symbolic", data, 6, &got));
    CHECK(got == 6 && !memcmp(data, "target", 6));
    GIVES(__wasi_path_readlink(ROOT, "file.txt", data, sizeof data, &got), __WASI_ERRNO_INVAL);
    GIVES(__wasi_path_readlink(ROOT, "missing", data, sizeof data, &got), __WASI_ERRNO_NOENT);
    WORKS(__wasi_path_readlink(ROOT, "link", data, sizeof data, &got));
    CHECK(got == 8 && !memcmp(data, "file.txt", 8));
    GIVES(__wasi_path_symlink("x", ROOT, "symbolic"), __WASI_ERRNO_EXIST);
}

static void following(void) {
    __wasi_filestat_t stat;
    __wasi_fd_t fd;
    WORKS(__wasi_path_filestat_get(ROOT, 0, "link", &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    WORKS(__wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_REGULAR_FILE && stat.size == 23);
    GIVES(__wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "symbolic", &stat), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "symbolic", 0, ALL_RIGHTS, 0, 0, &fd), __WASI_ERRNO_NOENT);
    WORKS(__wasi_path_symlink("loop", ROOT, "loop"));
    GIVES(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "loop", 0, ALL_RIGHTS, 0, 0, &fd), __WASI_ERRNO_LOOP);
    WORKS(__wasi_path_symlink("dir", ROOT, "dirlink"));
    WORKS(open_at("dirlink/nested.txt", 0, 0, &fd));
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_unlink_file(ROOT, "dirlink"));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "dir", &stat));
}

static void hard(void) {
    __wasi_filestat_t a, b;
    WORKS(__wasi_fd_close(make("original", "shared")));
    WORKS(__wasi_path_link(ROOT, 0, "original", ROOT, "dir/second"));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "original", &a));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "dir/second", &b));
    CHECK(a.ino == b.ino && a.dev == b.dev && a.nlink == 2 && b.nlink == 2);
    GIVES(__wasi_path_link(ROOT, 0, "original", ROOT, "dir/second"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_link(ROOT, 0, "missing", ROOT, "new"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_link(ROOT, 0, "dir", ROOT, "newdir"), __WASI_ERRNO_PERM);
    WORKS(__wasi_path_unlink_file(ROOT, "original"));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "dir/second", &b));
    CHECK(b.nlink == 1 && b.size == 6);
    WORKS(__wasi_path_link(ROOT, 0, "link", ROOT, "linklink"));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "linklink", &b));
    CHECK(b.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
}

static void escaping(void) {
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    GIVES(open_at("../etc/passwd", 0, 0, &fd), __WASI_ERRNO_PERM);
    GIVES(open_at("dir/../../etc/passwd", 0, 0, &fd), __WASI_ERRNO_PERM);
    GIVES(open_at("/etc/passwd", 0, 0, &fd), __WASI_ERRNO_PERM);
    GIVES(__wasi_path_symlink("/etc/passwd", ROOT, "absolute"), __WASI_ERRNO_PERM);
    WORKS(__wasi_path_symlink("../../../etc/passwd", ROOT, "up"));
    GIVES(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "up", 0, ALL_RIGHTS, 0, 0, &fd), __WASI_ERRNO_PERM);
    GIVES(__wasi_path_filestat_get(ROOT, 0, "..", &stat), __WASI_ERRNO_PERM);
    GIVES(__wasi_path_rename(ROOT, "file.txt", ROOT, "../out"), __WASI_ERRNO_PERM);
    WORKS(open_at("dir/../file.txt", 0, 0, &fd));
    WORKS(__wasi_fd_close(fd));
    GIVES(open_at("", 0, 0, &fd), __WASI_ERRNO_NOENT);
}

int main(void) {
    reading();
    following();
    hard();
    escaping();
    return 0;
}
