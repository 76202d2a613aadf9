/* Errors of the operating system below everything, SQLite and the copying processes included.
 *
 * Loaded by LD_PRELOAD. What is to fail stands in a shared file (FAULTS_STATE), so that one count
 * goes through a process and all that it starts. Only files below one folder are concerned.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    _Atomic int active, at, number, lasts, is_short, count, hits;
    int reserved;
    char folder[512];
    char hit[512];
};
static struct state *state;

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("FAULTS_STATE");
    if (!path) return;
    int (*original)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int descriptor = original(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return;
    void *seen = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    state = seen == MAP_FAILED ? NULL : seen;
    close(descriptor);
}

/* EINTR comes only from calls that wait or transfer; ENOSPC only from those that take space. */
static int fits(const char *name) {
    static const char *interrupted[] = {"open", "read", "write", "flock", "copy_file_range",
                                        "sendfile", "ftruncate", NULL};
    static const char *filling[] = {"open", "write", "fsync", "rename", "link", "mkdir",
                                    "copy_file_range", "sendfile", "ftruncate", NULL};
    const char **list = state->number == EINTR ? interrupted
                      : state->number == ENOSPC ? filling : NULL;
    if (!list) return 1;
    for (; *list; list++)
        if (!strcmp(*list, name)) return 1;
    return 0;
}

static int is_hit(const char *name, const char *path) {
    if (!state || !state->active || strncmp(path, state->folder, strlen(state->folder))) return 0;
    if (!fits(name)) return 0;
    int count = atomic_fetch_add(&state->count, 1) + 1;
    if (state->lasts ? count < state->at : count != state->at) return 0;
    if (!state->hits++) snprintf(state->hit, sizeof state->hit, "%s %s", name, path);
    return 1;
}

static int on_path(const char *name, const char *path) {
    char whole[PATH_MAX];
    if (!state || !state->active) return 0;
    if (path[0] == '/') return is_hit(name, path);
    if (!getcwd(whole, sizeof whole / 2)) return 0;
    strncat(whole, "/", 2);
    strncat(whole, path, sizeof whole / 2 - 2);
    return is_hit(name, whole);
}

static int on_descriptor(const char *name, int descriptor) {
    char link[64], path[PATH_MAX];
    if (!state || !state->active) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return is_hit(name, path);
}

#define ORIGINAL(name) \
    static __typeof__(&name) original; \
    if (!original) original = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL do { errno = state->number; return -1; } while (0)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        ORIGINAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        if (on_path("open", path) && !state->is_short) FAIL; \
        return original(path, flags, mode); }
OPEN(open)
OPEN(open64)

#define TRANSFER(name, call, parameters, descriptor, arguments) \
    ssize_t name parameters { \
        ORIGINAL(name); \
        if (on_descriptor(call, descriptor)) { \
            if (!state->is_short) FAIL; \
            if (size > 1) size /= 2; } \
        return original arguments; }
TRANSFER(read, "read", (int d, void *b, size_t size), d, (d, b, size))
TRANSFER(pread64, "read", (int d, void *b, size_t size, off64_t at), d, (d, b, size, at))
TRANSFER(write, "write", (int d, const void *b, size_t size), d, (d, b, size))
TRANSFER(pwrite64, "write", (int d, const void *b, size_t size, off64_t at), d, (d, b, size, at))
TRANSFER(copy_file_range, "copy_file_range",
         (int d, off64_t *at, int to, off64_t *to_at, size_t size, unsigned int flags), to,
         (d, at, to, to_at, size, flags))
TRANSFER(sendfile64, "sendfile", (int d, int from, off64_t *at, size_t size), d,
         (d, from, at, size))

ssize_t readv(int d, const struct iovec *parts, int count) {
    ORIGINAL(readv);
    if (on_descriptor("read", d) && !state->is_short) FAIL;
    return original(d, parts, count);
}

#define ON_DESCRIPTOR(name, call, parameters, arguments) \
    int name parameters { \
        ORIGINAL(name); \
        if (on_descriptor(call, d) && !state->is_short) FAIL; \
        return original arguments; }
ON_DESCRIPTOR(fsync, "fsync", (int d), (d))
ON_DESCRIPTOR(fdatasync, "fsync", (int d), (d))
ON_DESCRIPTOR(ftruncate64, "ftruncate", (int d, off64_t size), (d, size))
ON_DESCRIPTOR(flock, "flock", (int d, int what), (d, what))

#define ON_PATH(name, parameters, arguments) \
    int name parameters { \
        ORIGINAL(name); \
        if (on_path(#name, path) && !state->is_short) FAIL; \
        return original arguments; }
ON_PATH(unlink, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(link, (const char *path, const char *to), (path, to))
