/* A filter: letters of stdin, rotated by 13, to stdout. Any amount of data, in constant memory. */
#include <unistd.h>

static char rotate(char c) {
    if (c >= 'a' && c <= 'z') return (char)('a' + (c - 'a' + 13) % 26);
    if (c >= 'A' && c <= 'Z') return (char)('A' + (c - 'A' + 13) % 26);
    return c;
}

int main(void) {
    static char buffer[1 << 17];
    ssize_t got;
    while ((got = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got; i++) buffer[i] = rotate(buffer[i]);
        for (ssize_t done = 0, put; done < got; done += put)
            if ((put = write(1, buffer + done, (size_t)(got - done))) < 0) return 1;
    }
    return got < 0;
}
