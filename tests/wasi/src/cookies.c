/* fd_readdir with buffers that are too small for an entry, and taken up again at any of its cookies. */
#include "check.h"

enum { MANY = 30, HEAD = sizeof(__wasi_dirent_t) };

static __wasi_fd_t dir;
static struct {
    char name[32];
    __wasi_dircookie_t next;
    __wasi_filetype_t type;
    __wasi_inode_t inode;
} entries[MANY + 8];
static int count;

static __wasi_size_t list(uint8_t *buffer, __wasi_size_t room, __wasi_dircookie_t cookie) {
    __wasi_size_t used;
    WORKS(__wasi_fd_readdir(dir, buffer, room, cookie, &used));
    CHECK(used <= room);
    return used;
}

static void whole(void) {
    static uint8_t buffer[8192];
    __wasi_size_t used = list(buffer, sizeof buffer, 0);
    CHECK(used < sizeof buffer);
    count = 0;
    for (__wasi_size_t at = 0; at < used;) {
        __wasi_dirent_t entry;
        CHECK(at + HEAD <= used && count < MANY + 8);
        memcpy(&entry, buffer + at, HEAD);
        CHECK(entry.d_namlen < sizeof entries->name && at + HEAD + entry.d_namlen <= used);
        memcpy(entries[count].name, buffer + at + HEAD, entry.d_namlen);
        entries[count].name[entry.d_namlen] = 0;
        entries[count].next = entry.d_next;
        entries[count].type = entry.d_type;
        entries[count++].inode = entry.d_ino;
        at += HEAD + entry.d_namlen;
    }
    CHECK(count == MANY + 4);
}

static void tell_what_they_are(void) {
    __wasi_filestat_t stat;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i].name;
        for (int j = 0; j < i; j++) CHECK(strcmp(entries[j].name, name) && entries[j].next != entries[i].next);
        if (!strcmp(name, "..")) {
            CHECK(entries[i].type == __WASI_FILETYPE_DIRECTORY);
            continue;
        }
        WORKS(__wasi_path_filestat_get(dir, 0, name, &stat));
        CHECK(stat.filetype == entries[i].type && stat.ino == entries[i].inode);
        if (!strcmp(name, "sub")) CHECK(stat.filetype == __WASI_FILETYPE_DIRECTORY);
        if (!strcmp(name, "sym")) CHECK(stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    }
}

static void take_up_anywhere(void) {
    uint8_t buffer[HEAD + 32];
    __wasi_dirent_t entry;
    for (int i = count - 2; i >= 0; i--) {
        CHECK(list(buffer, sizeof buffer, entries[i].next) >= HEAD);
        memcpy(&entry, buffer, HEAD);
        CHECK(entry.d_next == entries[i + 1].next && !memcmp(buffer + HEAD, entries[i + 1].name, entry.d_namlen));
    }
    CHECK(list(buffer, sizeof buffer, entries[count - 1].next) == 0);
    CHECK(list(buffer, sizeof buffer, entries[count - 1].next) == 0);
}

static void too_small(void) {
    uint8_t buffer[HEAD + 32];
    static const __wasi_size_t rooms[] = {0, 1, HEAD - 1, HEAD, HEAD + 1};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        memset(buffer, 0xee, sizeof buffer);
        CHECK(list(buffer, rooms[i], 0) == rooms[i]);
        for (__wasi_size_t at = rooms[i]; at < sizeof buffer; at++) CHECK(buffer[at] == 0xee);
    }
}

int main(void) {
    char path[32];
    WORKS(__wasi_path_create_directory(ROOT, "cookies"));
    WORKS(__wasi_path_create_directory(ROOT, "cookies/sub"));
    WORKS(__wasi_path_symlink("sub", ROOT, "cookies/sym"));
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "cookies/%.*s%d", i % 12, "longer-names", i);
        WORKS(__wasi_fd_close(make(path, "")));
    }
    WORKS(open_at("cookies", __WASI_OFLAGS_DIRECTORY, 0, &dir));
    whole();
    tell_what_they_are();
    take_up_anywhere();
    too_small();
    WORKS(__wasi_fd_close(dir));
    return 0;
}
