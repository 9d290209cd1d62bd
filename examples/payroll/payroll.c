/* A real job: the month's payroll from data that nobody but the owner may see, with a tag that proves who computed it.
 *
 * Reads /data/employees.csv (id,name,department,hourly cents), /data/hours.csv (id,hours in hundredths) and /data/tax.csv
 * (from cents, per mille), and the key /run/secrets/signing-key. Prints totals for each department, no single salary, and an
 * HMAC-SHA256 over all lines before it. Bad data ends it with 2, naming file and line. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

enum { MAX_PEOPLE = 1000, MAX_BANDS = 16, MAX_LINE = 256, MAX_FIELD = 64, OVERTIME_AFTER = 16000 };

typedef struct {
    long id, cents, hours;
    char name[MAX_FIELD], department[MAX_FIELD];
} person;

typedef struct {
    long from, per_mille;
} band;

static person people[MAX_PEOPLE];
static band bands[MAX_BANDS];
static int people_count, bands_count;
static hmac256 tag;

static void die(const char *path, int line, const char *what) {
    fprintf(stderr, "payroll: %s:%d: %s\n", path, line, what);
    exit(2);
}

static void say(const char *format, ...) {
    char line[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    hmac256_add(&tag, line, (size_t)size);
    fputs(line, stdout);
}

static long number(const char *path, int line, const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < 0 || value > 1000000000) die(path, line, "wanted a number from 0 to a thousand million");
    return value;
}

/* Splits a line in place into exactly `count` fields. */
static void split(const char *path, int line, char *text, char **fields, int count) {
    text[strcspn(text, "\r\n")] = 0;
    for (int i = 0; i < count; i++) {
        fields[i] = text;
        size_t size = strcspn(text, ",");
        if ((text[size] == ',') != (i < count - 1)) die(path, line, "another number of fields than the heading has");
        if (size == 0 || size >= MAX_FIELD) die(path, line, "a field that is empty or too long");
        text += size;
        *text++ = 0;
    }
}

static person *find(long id) {
    for (int i = 0; i < people_count; i++)
        if (people[i].id == id) return &people[i];
    return NULL;
}

static void take_person(const char *path, int line, char **f) {
    if (people_count == MAX_PEOPLE) die(path, line, "too many people");
    long id = number(path, line, f[0]);
    if (find(id)) die(path, line, "an id that stands twice");
    person *p = &people[people_count++];
    p->id = id;
    strcpy(p->name, f[1]);
    strcpy(p->department, f[2]);
    p->cents = number(path, line, f[3]);
}

static void take_hours(const char *path, int line, char **f) {
    person *p = find(number(path, line, f[0]));
    if (!p) die(path, line, "an id that is no employee's");
    p->hours += number(path, line, f[1]);
}

static void take_band(const char *path, int line, char **f) {
    if (bands_count == MAX_BANDS) die(path, line, "too many bands");
    band *b = &bands[bands_count++];
    b->from = number(path, line, f[0]);
    b->per_mille = number(path, line, f[1]);
    if (bands_count > 1 && b->from <= b[-1].from) die(path, line, "bands out of order");
}

static void read_csv(const char *path, int fields, void (*take)(const char *, int, char **)) {
    char text[MAX_LINE], *found[4];
    FILE *file = fopen(path, "r");
    if (!file) die(path, 0, strerror(errno));
    for (int line = 1; fgets(text, sizeof text, file); line++) {
        if (!strchr(text, '\n') && !feof(file)) die(path, line, "a line that is too long");
        split(path, line, text, found, fields);
        if (line > 1) take(path, line, found);
    }
    fclose(file);
}

static long gross(const person *p) {
    long overtime = p->hours > OVERTIME_AFTER ? p->hours - OVERTIME_AFTER : 0;
    return (p->cents * p->hours + p->cents * overtime / 2) / 100;
}

static long tax(long amount) {
    long sum = 0;
    for (int i = 0; i < bands_count; i++) {
        long to = i + 1 < bands_count && bands[i + 1].from < amount ? bands[i + 1].from : amount;
        if (amount > bands[i].from) sum += (to - bands[i].from) * bands[i].per_mille / 1000;
    }
    return sum;
}

static void report(void) {
    long all_gross = 0, all_tax = 0;
    say("%-14s %6s %14s %14s %14s\n", "department", "people", "gross", "tax", "net");
    for (int i = 0; i < people_count; i++) {
        long sum = 0, taxes = 0;
        int count = 0, first = 1;
        for (int j = 0; j < i; j++) first = first && strcmp(people[j].department, people[i].department) != 0;
        if (!first) continue;
        for (int j = i; j < people_count; j++)
            if (!strcmp(people[j].department, people[i].department)) {
                long amount = gross(&people[j]);
                sum += amount;
                taxes += tax(amount);
                count++;
            }
        say("%-14s %6d %14.2f %14.2f %14.2f\n", people[i].department, count, sum / 100.0, taxes / 100.0, (sum - taxes) / 100.0);
        all_gross += sum;
        all_tax += taxes;
    }
    say("%-14s %6d %14.2f %14.2f %14.2f\n", "all", people_count, all_gross / 100.0, all_tax / 100.0, (all_gross - all_tax) / 100.0);
}

static void start_tag(const char *path) {
    uint8_t key[4096];
    FILE *file = fopen(path, "rb");
    if (!file) die(path, 0, strerror(errno));
    size_t size = fread(key, 1, sizeof key, file);
    fclose(file);
    if (size < 16) die(path, 0, "a key of less than 16 bytes");
    hmac256_start(&tag, key, size);
}

int main(void) {
    uint8_t digest[32];
    start_tag("/run/secrets/signing-key");
    read_csv("/data/employees.csv", 4, take_person);
    read_csv("/data/hours.csv", 2, take_hours);
    read_csv("/data/tax.csv", 2, take_band);
    report();
    hmac256_end(&tag, digest);
    printf("hmac-sha256 ");
    for (int i = 0; i < 32; i++) printf("%02x", digest[i]);
    printf("\n");
    return 0;
}
