/* Ends with the code that it is given, through the C library or at once; what stdio still holds is written only by the first. */
#include <unistd.h>

#include "check.h"

int main(int argc, char **argv) {
    CHECK(argc == 3);
    int code = atoi(argv[2]);
    printf("held");
    if (!strcmp(argv[1], "return")) return code;
    if (!strcmp(argv[1], "exit")) exit(code);
    if (!strcmp(argv[1], "_exit")) _exit(code);
    __wasi_proc_exit((__wasi_exitcode_t)code);
}
