/* Directories: made, listed with any size of buffer, removed; what they hold can be renamed, also over one another. */
#include "check.h"

enum { MANY = 120 };

static int list(const char *path, __wasi_size_t room, char names[][32], int most) {
    __wasi_fd_t fd;
    static uint8_t buffer[8192];
    __wasi_dircookie_t cookie = 0;
    int count = 0;
    WORKS(open_at(path, __WASI_OFLAGS_DIRECTORY, 0, &fd));
    for (;;) {
        __wasi_size_t used, at = 0;
        WORKS(__wasi_fd_readdir(fd, buffer, room, cookie, &used));
        while (at + sizeof(__wasi_dirent_t) <= used) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            if (at + sizeof entry + entry.d_namlen > used) break;
            CHECK(count < most && entry.d_namlen < 32);
            memcpy(names[count], buffer + at + sizeof entry, entry.d_namlen);
            names[count++][entry.d_namlen] = 0;
            cookie = entry.d_next;
            at += sizeof entry + entry.d_namlen;
        }
        if (used < room) break;
    }
    WORKS(__wasi_fd_close(fd));
    return count;
}

static int has(char names[][32], int count, const char *name) {
    int found = 0;
    for (int i = 0; i < count; i++) found += !strcmp(names[i], name);
    return found;
}

static void listing(void) {
    static char names[MANY + 8][32];
    char path[32];
    WORKS(__wasi_path_create_directory(ROOT, "many"));
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "many/entry-%03d", i);
        WORKS(__wasi_fd_close(make(path, "")));
    }
    __wasi_size_t rooms[] = {64, 100, 1024, 8192};
    for (int r = 0; r < 4; r++) {
        int count = list("many", rooms[r], names, MANY + 8);
        CHECK(count == MANY + 2 && has(names, count, ".") == 1 && has(names, count, "..") == 1);
        for (int i = 0; i < MANY; i++) CHECK(has(names, count, (snprintf(path, 32, "entry-%03d", i), path)) == 1);
    }
    int count = list(".", 4096, names, MANY + 8);
    CHECK(has(names, count, "file.txt") && has(names, count, "dir") && has(names, count, "empty") && has(names, count, "link"));
}

static void removing(void) {
    GIVES(__wasi_path_remove_directory(ROOT, "many"), __WASI_ERRNO_NOTEMPTY);
    GIVES(__wasi_path_remove_directory(ROOT, "file.txt"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_remove_directory(ROOT, "missing"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_create_directory(ROOT, "many"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_create_directory(ROOT, "file.txt"), __WASI_ERRNO_EXIST);
    WORKS(__wasi_path_create_directory(ROOT, "gone"));
    GIVES(__wasi_path_unlink_file(ROOT, "gone"), __WASI_ERRNO_ISDIR);
    WORKS(__wasi_path_remove_directory(ROOT, "gone"));
    GIVES(__wasi_path_unlink_file(ROOT, "missing"), __WASI_ERRNO_NOENT);
    WORKS(__wasi_fd_close(make("short-lived", "x")));
    WORKS(__wasi_path_unlink_file(ROOT, "short-lived"));
    GIVES(__wasi_path_unlink_file(ROOT, "short-lived"), __WASI_ERRNO_NOENT);
}

static void renaming(void) {
    __wasi_filestat_t stat;
    WORKS(__wasi_fd_close(make("from", "content")));
    WORKS(__wasi_path_rename(ROOT, "from", ROOT, "to"));
    GIVES(__wasi_path_filestat_get(ROOT, 0, "from", &stat), __WASI_ERRNO_NOENT);
    WORKS(__wasi_path_filestat_get(ROOT, 0, "to", &stat));
    CHECK(stat.size == 7);
    WORKS(__wasi_fd_close(make("over", "")));
    WORKS(__wasi_path_rename(ROOT, "to", ROOT, "over"));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "over", &stat));
    CHECK(stat.size == 7);
    WORKS(__wasi_path_rename(ROOT, "over", ROOT, "dir/moved"));
    WORKS(__wasi_path_create_directory(ROOT, "d1"));
    WORKS(__wasi_path_create_directory(ROOT, "d2"));
    WORKS(__wasi_path_rename(ROOT, "d1", ROOT, "d2"));
    GIVES(__wasi_path_rename(ROOT, "d2", ROOT, "dir"), __WASI_ERRNO_NOTEMPTY);
    GIVES(__wasi_path_rename(ROOT, "d2", ROOT, "file.txt"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_rename(ROOT, "file.txt", ROOT, "d2"), __WASI_ERRNO_ISDIR);
    GIVES(__wasi_path_rename(ROOT, "missing", ROOT, "d2"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_rename(ROOT, "d2", ROOT, "d2/below"), __WASI_ERRNO_INVAL);
}

static void as_descriptor(void) {
    __wasi_fd_t fd;
    __wasi_fdstat_t stat;
    __wasi_size_t got;
    uint8_t byte;
    __wasi_iovec_t piece = {&byte, 1};
    __wasi_prestat_t prestat;
    WORKS(open_at("dir", __WASI_OFLAGS_DIRECTORY, 0, &fd));
    WORKS(__wasi_fd_fdstat_get(fd, &stat));
    CHECK(stat.fs_filetype == __WASI_FILETYPE_DIRECTORY);
    GIVES(__wasi_fd_read(fd, &piece, 1, &got), __WASI_ERRNO_BADF);
    GIVES(__wasi_fd_prestat_get(fd, &prestat), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_prestat_get(ROOT, &prestat));
    CHECK(prestat.tag == __WASI_PREOPENTYPE_DIR && prestat.u.dir.pr_name_len == 1);
    WORKS(__wasi_fd_prestat_dir_name(ROOT, &byte, 1));
    CHECK(byte == '/');
    WORKS(__wasi_fd_close(fd));
}

int main(void) {
    listing();
    removing();
    renaming();
    as_descriptor();
    return 0;
}
