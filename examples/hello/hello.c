/* The smallest workload: greets, and shows the little that a guest can see of where it is. */
#include <stdio.h>
#include <time.h>

int main(int argc, char **argv) {
    printf("Hello from a Keep!\n");
    printf("I am %s with %d argument%s.\n", argv[0], argc - 1, argc == 2 ? "" : "s");
    for (int i = 1; i < argc; i++) printf("  %d: %s\n", i, argv[i]);
    printf("The host's clock says %.3f million seconds since 1970; I need not believe it.\n", (double)time(NULL) / 1e6);
    return 0;
}
