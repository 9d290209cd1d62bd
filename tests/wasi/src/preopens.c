/* Preopened directories: told by name, and otherwise descriptors as any other; a closed one gives no way back in. */
#include "check.h"

static void told(void) {
    __wasi_prestat_t prestat;
    uint8_t name[4] = {0};
    for (__wasi_fd_t fd = 0; fd < ROOT; fd++) GIVES(__wasi_fd_prestat_get(fd, &prestat), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_prestat_get(ROOT, &prestat));
    CHECK(prestat.tag == __WASI_PREOPENTYPE_DIR && prestat.u.dir.pr_name_len == 1);
    GIVES(__wasi_fd_prestat_get(ROOT + 1, &prestat), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_prestat_dir_name(ROOT + 1, name, sizeof name), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_prestat_dir_name(0, name, sizeof name), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_fd_prestat_dir_name(ROOT, name, 0), __WASI_ERRNO_NAMETOOLONG);
    WORKS(__wasi_fd_prestat_dir_name(ROOT, name, 1));
    CHECK(!strcmp((char *)name, "/"));
}

static void opened_again(void) {
    __wasi_fd_t dot, slash, file;
    __wasi_prestat_t prestat;
    WORKS(open_at(".", __WASI_OFLAGS_DIRECTORY, 0, &dot));
    WORKS(open_at("./", __WASI_OFLAGS_DIRECTORY, 0, &slash));
    CHECK(dot != ROOT && slash != dot);
    GIVES(__wasi_fd_prestat_get(dot, &prestat), __WASI_ERRNO_BADF);
    WORKS(__wasi_path_open(dot, 0, "file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file));
    WORKS(__wasi_fd_close(file));
    GIVES(__wasi_path_open(dot, 0, "../file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_PERM);
    WORKS(__wasi_fd_close(dot));
    WORKS(__wasi_fd_close(slash));
}

static void below_another(void) {
    __wasi_fd_t dir, file;
    WORKS(open_at("dir", __WASI_OFLAGS_DIRECTORY, 0, &dir));
    WORKS(__wasi_path_open(dir, 0, "nested.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file));
    GIVES(__wasi_path_open(dir, 0, "../file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_PERM);
    WORKS(__wasi_path_symlink("../file.txt", dir, "outwards"));
    GIVES(__wasi_path_open(dir, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "outwards", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_PERM);
    WORKS(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "dir/outwards", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file));
    WORKS(__wasi_path_rename(dir, "outwards", ROOT, "inwards"));
    WORKS(__wasi_path_unlink_file(ROOT, "inwards"));
    WORKS(__wasi_fd_close(dir));
}

static void replaced_and_closed(void) {
    __wasi_fd_t dir, file;
    __wasi_fdstat_t stat;
    WORKS(open_at("dir", __WASI_OFLAGS_DIRECTORY, 0, &dir));
    GIVES(__wasi_fd_renumber(ROOT, 500), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_renumber(dir, ROOT));
    WORKS(__wasi_path_open(ROOT, 0, "nested.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file));
    GIVES(__wasi_path_open(ROOT, 0, "file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_open(ROOT, 0, "../file.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_PERM);
    WORKS(__wasi_fd_close(ROOT));
    GIVES(__wasi_fd_fdstat_get(ROOT, &stat), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_open(ROOT, 0, "nested.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &file), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_close(ROOT), __WASI_ERRNO_BADF);
}

int main(void) {
    told();
    opened_again();
    below_another();
    replaced_and_closed();
    return 0;
}
