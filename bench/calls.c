/* Time system calls: CPU nanoseconds for each of many. `calls N` asks for the parent's id; `calls N FILE` opens and
 * closes a file; `calls N FILE spawn` starts a program; `calls N - ask` asks for an attribute of its own, in
 * nanoseconds of the clock on the wall. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct timespec before, after;
    long times = count > 1 ? atol(words[1]) : 0;
    const char *file = count > 2 ? words[2] : NULL;
    int ask = count > 3 && !strcmp(words[3], "ask"), spawn = count > 3 && !ask;
    char *none[] = {(char *)"x", NULL}, *nothing[] = {NULL};
    if (times < 1)
        return 2;
    clock_gettime(spawn || ask ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &before);
    for (long i = 0; i < times; i++) {
        if (spawn) {
            pid_t child;
            int status;
            if (posix_spawn(&child, file, NULL, NULL, none, nothing) || waitpid(child, &status, 0) < 0)
                return 1;
        } else if (ask) {
            prctl(PR_GET_DUMPABLE);
        } else if (file) {
            int handle = open(file, O_RDONLY);
            if (handle < 0)
                return 1;
            close(handle);
        } else {
            syscall(SYS_getppid);
        }
    }
    clock_gettime(spawn || ask ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &after);
    printf("%.2f\n", ((after.tv_sec - before.tv_sec) * 1e9 + (after.tv_nsec - before.tv_nsec)) / times);
    return 0;
}
