/* Steady compute: `sha256 MIB` hashes as much memory, `mandelbrot N` counts points of a picture of N by N. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/payroll/sha256.h"

static int hash(long mib) {
    static unsigned char piece[1 << 20];
    unsigned char digest[32];
    sha256 s;
    for (size_t i = 0; i < sizeof piece; i++) piece[i] = (unsigned char)(i * 2654435761u >> 24);
    sha256_start(&s);
    for (long i = 0; i < mib; i++) sha256_add(&s, piece, sizeof piece);
    sha256_end(&s, digest);
    printf("%02x%02x%02x%02x\n", digest[0], digest[1], digest[2], digest[3]);
    return 0;
}

static int mandelbrot(long n) {
    long inside = 0;
    for (long y = 0; y < n; y++)
        for (long x = 0; x < n; x++) {
            double cr = 3.0 * (double)x / (double)n - 2.0, ci = 2.0 * (double)y / (double)n - 1.0, zr = 0, zi = 0;
            int i = 0;
            for (; i < 200 && zr * zr + zi * zi < 4; i++) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
            }
            inside += i == 200;
        }
    printf("%ld\n", inside);
    return 0;
}

int main(int argc, char **argv) {
    long size = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (size > 0 && !strcmp(argv[1], "sha256")) return hash(size);
    if (size > 0 && !strcmp(argv[1], "mandelbrot")) return mandelbrot(size);
    fprintf(stderr, "usage: compute sha256 MIB | mandelbrot N\n");
    return 2;
}
