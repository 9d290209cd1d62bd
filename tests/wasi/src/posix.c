/* The same ground through the C library, as most programs walk it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

int main(void) {
    char text[64];
    struct stat stat_;
    FILE *file = fopen("/new.txt", "w+");
    CHECK(file && fprintf(file, "%d %s\n", 42, "words") == 9 && fflush(file) == 0);
    CHECK(fseek(file, 3, SEEK_SET) == 0 && fgets(text, sizeof text, file) && !strcmp(text, "words\n"));
    CHECK(ftell(file) == 9 && fclose(file) == 0);
    CHECK(stat("/new.txt", &stat_) == 0 && S_ISREG(stat_.st_mode) && stat_.st_size == 9);
    CHECK(mkdir("/made", 0700) == 0 && stat("/made", &stat_) == 0 && S_ISDIR(stat_.st_mode));
    CHECK(rename("/new.txt", "/made/moved.txt") == 0 && access("/made/moved.txt", R_OK) == 0);
    DIR *dir = opendir("/made");
    CHECK(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) count += !strcmp(entry->d_name, "moved.txt");
    CHECK(count == 1 && closedir(dir) == 0);
    int fd = open("/made/moved.txt", O_RDWR | O_APPEND);
    CHECK(fd >= 0 && write(fd, "more", 4) == 4 && lseek(fd, 0, SEEK_END) == 13 && ftruncate(fd, 2) == 0);
    CHECK(pread(fd, text, 10, 0) == 2 && !memcmp(text, "42", 2) && close(fd) == 0);
    CHECK(symlink("moved.txt", "/made/sym") == 0 && readlink("/made/sym", text, sizeof text) == 9);
    CHECK(link("/made/moved.txt", "/made/hard") == 0 && stat("/made/hard", &stat_) == 0 && stat_.st_nlink == 2);
    CHECK(unlink("/made/sym") == 0 && unlink("/made/hard") == 0 && unlink("/made/moved.txt") == 0 && rmdir("/made") == 0);
    CHECK(open("/made", O_RDONLY) < 0 && errno == ENOENT);
    CHECK(open("/etc/passwd", O_RDONLY) < 0);
    return 0;
}
