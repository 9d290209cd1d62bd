/* Names as programs write them: slashes at the end, dots, empty, too long, and through a file as if it were a directory. */
#include "check.h"

#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW
#define DIRECTORY __WASI_OFLAGS_DIRECTORY

/* Opens, and closes again at once. */
static __wasi_errno_t opens(const char *path, __wasi_lookupflags_t lookup, __wasi_oflags_t how) {
    __wasi_fd_t fd;
    __wasi_errno_t found = __wasi_path_open(ROOT, lookup, path, how, __WASI_RIGHTS_FD_READ, 0, 0, &fd);
    if (!found) WORKS(__wasi_fd_close(fd));
    return found;
}

static void interesting(void) {
    char deep[4096], longest[300];
    WORKS(opens("./file.txt", 0, 0));
    WORKS(opens("dir/./nested.txt", 0, 0));
    WORKS(opens("dir//nested.txt", 0, 0));
    WORKS(opens("./dir/.././dir/nested.txt", 0, 0));
    WORKS(opens("dir/..", 0, DIRECTORY));
    WORKS(opens("dir/../.", 0, DIRECTORY));
    GIVES(opens("missing/../file.txt", 0, 0), __WASI_ERRNO_NOENT);
    GIVES(opens("file.txt/../file.txt", 0, 0), __WASI_ERRNO_NOTDIR);
    GIVES(opens("dir/../../root/file.txt", 0, 0), __WASI_ERRNO_PERM);
    GIVES(opens("..", 0, DIRECTORY), __WASI_ERRNO_PERM);
    GIVES(opens("/", 0, DIRECTORY), __WASI_ERRNO_PERM);
    GIVES(opens("/file.txt", 0, 0), __WASI_ERRNO_PERM);
    GIVES(opens("//file.txt", 0, 0), __WASI_ERRNO_PERM);
    GIVES(opens("", 0, 0), __WASI_ERRNO_NOENT);
    GIVES(opens(" ", 0, 0), __WASI_ERRNO_NOENT);
    GIVES(opens("FILE.TXT", 0, 0), __WASI_ERRNO_NOENT);
    memset(longest, 'n', sizeof longest);
    longest[256] = 0;
    GIVES(opens(longest, 0, 0), __WASI_ERRNO_NAMETOOLONG);
    longest[255] = 0;
    GIVES(opens(longest, 0, 0), __WASI_ERRNO_NOENT);
    WORKS(__wasi_fd_close(make(longest, "x")));
    WORKS(__wasi_path_unlink_file(ROOT, longest));
    for (size_t i = 0; i + 2 < sizeof deep; i += 2) memcpy(deep + i, "./", 3);
    memcpy(deep + 2000, "file.txt", 9);
    WORKS(opens(deep, 0, 0));
}

static void not_text(void) {
    WORKS(__wasi_fd_close(make("na\xc3\xafve \xe2\x82\xac", "x")));
    WORKS(opens("na\xc3\xafve \xe2\x82\xac", 0, 0));
    WORKS(__wasi_path_unlink_file(ROOT, "na\xc3\xafve \xe2\x82\xac"));
    GIVES(opens("\xff\xfe", 0, 0), __WASI_ERRNO_ILSEQ);
    WORKS(__wasi_fd_close(make("back\\slash:*?", "x")));
    WORKS(__wasi_path_unlink_file(ROOT, "back\\slash:*?"));
}

static void slashes_of_directories(void) {
    WORKS(opens("dir/", 0, DIRECTORY));
    WORKS(opens("dir///", 0, DIRECTORY));
    WORKS(__wasi_path_create_directory(ROOT, "slashed/"));
    GIVES(__wasi_path_create_directory(ROOT, "slashed"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_create_directory(ROOT, "none/below"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_create_directory(ROOT, ""), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_create_directory(ROOT, "."), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_create_directory(ROOT, "../beside"), __WASI_ERRNO_PERM);
    WORKS(__wasi_path_rename(ROOT, "slashed/", ROOT, "renamed/"));
    WORKS(__wasi_path_rename(ROOT, "renamed", ROOT, "slashed/"));
    WORKS(__wasi_path_rename(ROOT, "slashed/", ROOT, "renamed"));
    GIVES(__wasi_path_unlink_file(ROOT, "renamed/"), __WASI_ERRNO_ISDIR);
    WORKS(__wasi_path_remove_directory(ROOT, "renamed"));
}

static void slashes_of_files(void) {
    WORKS(__wasi_fd_close(make("plain", "x")));
    GIVES(opens("plain/", 0, 0), __WASI_ERRNO_NOTDIR);
    GIVES(opens("plain/.", 0, 0), __WASI_ERRNO_NOTDIR);
    GIVES(opens("plain/below", 0, 0), __WASI_ERRNO_NOTDIR);
    GIVES(opens("fresh/", 0, __WASI_OFLAGS_CREAT), __WASI_ERRNO_ISDIR);
    GIVES(__wasi_path_unlink_file(ROOT, "plain/"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_remove_directory(ROOT, "plain/"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_create_directory(ROOT, "plain/"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_rename(ROOT, "plain/", ROOT, "other"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_rename(ROOT, "plain", ROOT, "other/"), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_link(ROOT, 0, "plain", ROOT, "other/"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_link(ROOT, 0, "plain/", ROOT, "other"), __WASI_ERRNO_NOTDIR);
    WORKS(__wasi_path_unlink_file(ROOT, "plain"));
}

static void slashes_of_links(void) {
    __wasi_filestat_t stat;
    uint8_t data[16];
    __wasi_size_t got;
    GIVES(__wasi_path_symlink("dir", ROOT, "todir/"), __WASI_ERRNO_NOENT);
    WORKS(__wasi_path_symlink("dir", ROOT, "todir"));
    GIVES(__wasi_path_symlink("dir", ROOT, "todir/"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_symlink("x", ROOT, "dir/"), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_symlink("x", ROOT, "file.txt/"), __WASI_ERRNO_NOTDIR);
    WORKS(__wasi_path_filestat_get(ROOT, 0, "todir/", &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_DIRECTORY);
    WORKS(opens("todir/", 0, DIRECTORY));
    WORKS(opens("todir", FOLLOW, DIRECTORY));
    GIVES(opens("todir", 0, DIRECTORY), __WASI_ERRNO_LOOP);
    GIVES(__wasi_path_readlink(ROOT, "todir/", data, sizeof data, &got), __WASI_ERRNO_INVAL);
    GIVES(__wasi_path_remove_directory(ROOT, "todir"), __WASI_ERRNO_NOTDIR);
    WORKS(__wasi_path_unlink_file(ROOT, "todir"));
}

static void empty_names(void) {
    __wasi_filestat_t stat;
    uint8_t data[16];
    __wasi_size_t got;
    GIVES(__wasi_path_filestat_get(ROOT, 0, "", &stat), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_filestat_set_times(ROOT, 0, "", 0, 0, __WASI_FSTFLAGS_MTIM), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_readlink(ROOT, "", data, sizeof data, &got), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_remove_directory(ROOT, ""), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_unlink_file(ROOT, ""), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_symlink("", ROOT, "points-nowhere"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_symlink("x", ROOT, ""), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_rename(ROOT, "", ROOT, "x"), __WASI_ERRNO_NOENT);
    GIVES(__wasi_path_link(ROOT, 0, "", ROOT, "x"), __WASI_ERRNO_NOENT);
}

static void beside_a_descriptor(void) {
    __wasi_fd_t fd, found;
    __wasi_filestat_t stat;
    WORKS(open_at("file.txt", 0, 0, &fd));
    GIVES(__wasi_path_open(fd, 0, "x", 0, __WASI_RIGHTS_FD_READ, 0, 0, &found), __WASI_ERRNO_NOTDIR);
    GIVES(__wasi_path_filestat_get(fd, 0, ".", &stat), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_create_directory(fd, "x"), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_unlink_file(fd, "x"), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_rename(ROOT, "file.txt", fd, "x"), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_open(99, 0, "x", 0, __WASI_RIGHTS_FD_READ, 0, 0, &found), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_symlink("x", 99, "x"), __WASI_ERRNO_BADF);
    GIVES(__wasi_path_open(1, 0, "x", 0, __WASI_RIGHTS_FD_READ, 0, 0, &found), __WASI_ERRNO_BADF);
    WORKS(__wasi_fd_close(fd));
}

static void dangling(void) {
    __wasi_filestat_t stat;
    __wasi_fd_t fd;
    WORKS(__wasi_path_symlink("to-be-made", ROOT, "dangling"));
    GIVES(opens("dangling", 0, 0), __WASI_ERRNO_LOOP);
    GIVES(opens("dangling", FOLLOW, 0), __WASI_ERRNO_NOENT);
    GIVES(opens("dangling", 0, DIRECTORY), __WASI_ERRNO_LOOP);
    GIVES(opens("dangling", 0, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL), __WASI_ERRNO_EXIST);
    GIVES(__wasi_path_create_directory(ROOT, "dangling"), __WASI_ERRNO_EXIST);
    WORKS(__wasi_path_filestat_get(ROOT, 0, "dangling", &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK && stat.size == 10);
    WORKS(__wasi_path_open(ROOT, FOLLOW, "dangling", __WASI_OFLAGS_CREAT, ALL_RIGHTS, 0, 0, &fd));
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_filestat_get(ROOT, 0, "to-be-made", &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    WORKS(__wasi_path_unlink_file(ROOT, "dangling"));
    WORKS(__wasi_path_unlink_file(ROOT, "to-be-made"));
}

static void loops(void) {
    __wasi_filestat_t stat;
    char from[16], to[16];
    WORKS(__wasi_path_symlink("b", ROOT, "a"));
    WORKS(__wasi_path_symlink("a", ROOT, "b"));
    GIVES(opens("a", FOLLOW, 0), __WASI_ERRNO_LOOP);
    GIVES(opens("a/below", 0, 0), __WASI_ERRNO_LOOP);
    GIVES(__wasi_path_filestat_get(ROOT, FOLLOW, "b", &stat), __WASI_ERRNO_LOOP);
    GIVES(__wasi_path_create_directory(ROOT, "a/below"), __WASI_ERRNO_LOOP);
    WORKS(__wasi_path_filestat_get(ROOT, 0, "b", &stat));
    WORKS(__wasi_path_rename(ROOT, "a", ROOT, "b"));
    WORKS(__wasi_path_unlink_file(ROOT, "b"));
    WORKS(__wasi_path_symlink("file.txt", ROOT, "chain0"));
    for (int i = 1; i <= 20; i++) {
        snprintf(from, sizeof from, "chain%d", i - 1);
        snprintf(to, sizeof to, "chain%d", i);
        WORKS(__wasi_path_symlink(from, ROOT, to));
    }
    WORKS(opens("chain20", FOLLOW, 0));
}

int main(void) {
    interesting();
    not_text();
    slashes_of_directories();
    slashes_of_files();
    slashes_of_links();
    empty_names();
    beside_a_descriptor();
    dangling();
    loops();
    return 0;
}
