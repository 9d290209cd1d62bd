/* Times of files: set by descriptor and by path, to a value or to now, of the link or of what it leads to. */
#include "check.h"

static __wasi_filestat_t stat_of(const char *path, __wasi_lookupflags_t how) {
    __wasi_filestat_t stat;
    WORKS(__wasi_path_filestat_get(ROOT, how, path, &stat));
    return stat;
}

int main(void) {
    __wasi_fd_t fd = make("timed", "x");
    __wasi_timestamp_t now;
    WORKS(__wasi_fd_filestat_set_times(fd, 1000, 2000, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    __wasi_filestat_t stat = stat_of("timed", 0);
    CHECK(stat.atim == 1000 && stat.mtim == 2000);
    WORKS(__wasi_fd_filestat_set_times(fd, 0, 5000000000123ull, __WASI_FSTFLAGS_MTIM));
    stat = stat_of("timed", 0);
    CHECK(stat.atim == 1000 && stat.mtim == 5000000000123ull);
    WORKS(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &now));
    WORKS(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW));
    CHECK(stat_of("timed", 0).mtim + 2000000000 > now);
    GIVES(__wasi_fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW), __WASI_ERRNO_INVAL);
    WORKS(__wasi_fd_close(fd));
    WORKS(__wasi_path_filestat_set_times(ROOT, 0, "timed", 7000, 8000, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    stat = stat_of("timed", 0);
    CHECK(stat.atim == 7000 && stat.mtim == 8000);
    WORKS(__wasi_path_symlink("timed", ROOT, "timed-link"));
    WORKS(__wasi_path_filestat_set_times(ROOT, 0, "timed-link", 1, 3000, __WASI_FSTFLAGS_MTIM));
    CHECK(stat_of("timed-link", 0).mtim == 3000 && stat_of("timed", 0).mtim == 8000);
    WORKS(__wasi_path_filestat_set_times(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "timed-link", 1, 4000, __WASI_FSTFLAGS_MTIM));
    CHECK(stat_of("timed-link", 0).mtim == 3000 && stat_of("timed", 0).mtim == 4000);
    WORKS(__wasi_path_filestat_set_times(ROOT, 0, "dir", 1, 9000, __WASI_FSTFLAGS_MTIM));
    CHECK(stat_of("dir", 0).mtim == 9000);
    GIVES(__wasi_path_filestat_set_times(ROOT, 0, "missing", 1, 1, __WASI_FSTFLAGS_MTIM), __WASI_ERRNO_NOENT);
    return 0;
}
