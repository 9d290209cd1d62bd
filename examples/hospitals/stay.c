/* Two hospitals, one computation: the length of stay over both, without either seeing a patient of the other.
 *
 * Each argument is a directory of one hospital. Reads every *.csv in it (a heading, then patient,ward,days), and prints the
 * number of patients and the mean and the longest stay of each ward over all hospitals. A ward with fewer than MIN_PATIENTS is
 * left out, since its numbers would reveal single patients. Bad data ends it with 2, naming the file and line but no value. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WARDS = 64, MAX_LINE = 256, MAX_FIELD = 32, MAX_PATH = 512, MIN_PATIENTS = 5, MAX_DAYS = 3650 };

typedef struct {
    char name[MAX_FIELD];
    long patients, days, longest;
} ward;

static ward wards[MAX_WARDS];
static int wards_count;

static void die(const char *path, int line, const char *what) {
    fprintf(stderr, "stay: %s:%d: %s\n", path, line, what);
    exit(2);
}

static ward *find(const char *path, int line, const char *name) {
    for (int i = 0; i < wards_count; i++)
        if (!strcmp(wards[i].name, name)) return &wards[i];
    if (wards_count == MAX_WARDS) die(path, line, "too many wards");
    ward *new = &wards[wards_count++];
    strcpy(new->name, name);
    return new;
}

static void add(const char *path, int line, char *text) {
    char *name = strchr(text, ','), *days = name ? strchr(name + 1, ',') : NULL, *end;
    if (!days || strchr(days + 1, ',')) die(path, line, "wanted patient,ward,days");
    *days++ = 0;
    name++;
    if (!*name || strlen(name) >= MAX_FIELD) die(path, line, "a ward's name that is empty or too long");
    errno = 0;
    long value = strtol(days, &end, 10);
    if (errno || *end || end == days || value < 0 || value > MAX_DAYS) die(path, line, "wanted days from 0 to 3650");
    ward *at = find(path, line, name);
    at->patients++;
    at->days += value;
    if (value > at->longest) at->longest = value;
}

static void read_file(const char *path) {
    char text[MAX_LINE];
    FILE *file = fopen(path, "r");
    if (!file) die(path, 0, "cannot be opened");
    for (int line = 1; fgets(text, sizeof text, file); line++) {
        size_t size = strcspn(text, "\r\n");
        if (!text[size] && !feof(file)) die(path, line, "a line that is too long");
        text[size] = 0;
        if (line > 1 && size) add(path, line, text);
    }
    if (ferror(file)) die(path, 0, "cannot be read");
    fclose(file);
}

static int is_csv(const char *name) {
    size_t size = strlen(name);
    return size > 4 && !strcmp(name + size - 4, ".csv");
}

static void read_hospital(const char *directory) {
    DIR *open = opendir(directory);
    if (!open) die(directory, 0, "cannot be opened");
    int files = 0;
    for (struct dirent *entry; (entry = readdir(open));) {
        char path[MAX_PATH];
        if (!is_csv(entry->d_name)) continue;
        if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path) die(directory, 0, "a name that is too long");
        read_file(path);
        files++;
    }
    closedir(open);
    if (!files) die(directory, 0, "no file ends in .csv");
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ward *)a)->name, ((const ward *)b)->name);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fputs("usage: stay DIRECTORY ...\n", stderr);
        return 2;
    }
    for (int i = 1; i < count; i++) read_hospital(arguments[i]);
    qsort(wards, (size_t)wards_count, sizeof *wards, by_name);
    int left_out = 0;
    puts("ward,patients,mean days,longest");
    for (int i = 0; i < wards_count; i++) {
        const ward *w = &wards[i];
        if (w->patients < MIN_PATIENTS)
            left_out++;
        else
            printf("%s,%ld,%ld.%ld,%ld\n", w->name, w->patients, w->days / w->patients, w->days % w->patients * 10 / w->patients, w->longest);
    }
    fprintf(stderr, "%d hospitals, %d wards, %d left out\n", count - 1, wards_count, left_out);
    return fflush(stdout) ? 2 : 0;
}
