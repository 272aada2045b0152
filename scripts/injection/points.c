/* Counts the calls that change files in one folder, or read one file, and strikes at one of them.
 *
 * Preloaded into a process (LD_PRELOAD). All counts lie in memory that forked children share, so that the parent reads
 * how far a child has come, even where the child was killed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
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

enum { CHANGES, READS, KINDS };
enum { NOTHING, KILL, TEAR, STOP, FAIL_ONCE, FAIL_FROM };

struct aim {
    char prefix[PATH_MAX];
    long at;
    int action, error;
};

struct shared {
    atomic_long counts[KINDS];
    char last[2 * PATH_MAX];
};

static struct aim aims[KINDS];
static struct shared *shared;

__attribute__((constructor)) static void begin(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Aim at the call number `at`, from 1, of a kind below a path; the counts begin anew. */
void points_aim(int kind, const char *prefix, long at, int action, int error)
{
    struct aim *aim = &aims[kind];
    snprintf(aim->prefix, sizeof aim->prefix, "%s", prefix);
    aim->at = at;
    aim->action = action;
    aim->error = error;
    atomic_store(&shared->counts[kind], 0);
}

long points_count(int kind)
{
    return atomic_load(&shared->counts[kind]);
}

const char *points_last(void)
{
    return shared->last;
}

static int lies_below(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    return length && !strncmp(path, prefix, length) && (path[length] == '/' || !path[length]);
}

static void of_descriptor(int descriptor, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void of_name(int folder, const char *name, char *path)
{
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    char above[PATH_MAX];
    if (folder == AT_FDCWD) {
        if (!getcwd(above, sizeof above))
            above[0] = 0;
    } else {
        of_descriptor(folder, above);
    }
    if (snprintf(path, PATH_MAX, "%s/%s", above, name) >= PATH_MAX)
        path[0] = 0;
}

/* Count a call; return 0 to let it happen, 1 to write a half of it and die, -1 to fail with errno. */
static int strike(int kind, const char *call, const char *path, int needs_room)
{
    struct aim *aim = &aims[kind];
    if (!shared || !lies_below(path, aim->prefix))
        return 0;
    long number = atomic_fetch_add(&shared->counts[kind], 1) + 1;
    if (aim->action == NOTHING || number < aim->at)
        return 0;
    if (aim->action == FAIL_FROM) {
        if (!needs_room && aim->error != EROFS)
            return 0;
        errno = aim->error;
        return -1;
    }
    if (number != aim->at)
        return 0;
    snprintf(shared->last, sizeof shared->last, "%s %s", call, path);
    switch (aim->action) {
    case KILL:
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    case TEAR:
        return 1;
    case STOP:
        kill(getpid(), SIGSTOP);
        return 0;
    }
    errno = aim->error;
    return -1;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

#define REAL(type, name, ...)                           \
    static type (*real)(__VA_ARGS__);                   \
    int kept = errno;                                   \
    if (!real)                                          \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name); \
    errno = kept

#define OPENED(name, folder)                                                            \
    int kind = flags & (O_CREAT | O_TRUNC) ? CHANGES : READS, mode = 0;                 \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                \
        va_list more;                                                                   \
        va_start(more, flags);                                                          \
        mode = va_arg(more, int);                                                       \
        va_end(more);                                                                   \
    }                                                                                   \
    char whole[PATH_MAX];                                                               \
    of_name(folder, path, whole);                                                       \
    int struck = kind == READS && (flags & O_ACCMODE) != O_RDONLY ? 0 : strike(kind, name, whole, 1); \
    if (struck > 0)                                                                     \
        die();                                                                          \
    if (struck < 0)                                                                     \
        return -1

int open(const char *path, int flags, ...)
{
    REAL(int, open, const char *, int, ...);
    OPENED("open", AT_FDCWD);
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, open64, const char *, int, ...);
    OPENED("open", AT_FDCWD);
    return real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(int, openat, int, const char *, int, ...);
    OPENED("open", folder);
    return real(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    REAL(int, openat64, int, const char *, int, ...);
    OPENED("open", folder);
    return real(folder, path, flags, mode);
}

#define WRITTEN(name, half)                           \
    if (descriptor > 2) {                             \
        char path[PATH_MAX];                          \
        of_descriptor(descriptor, path);              \
        int struck = strike(CHANGES, name, path, 1);  \
        if (struck < 0)                               \
            return -1;                                \
        if (struck > 0) {                             \
            half;                                     \
            die();                                    \
        }                                             \
    }

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    REAL(ssize_t, write, int, const void *, size_t);
    WRITTEN("write", real(descriptor, bytes, count / 2))
    return real(descriptor, bytes, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset)
{
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    WRITTEN("pwrite", real(descriptor, bytes, count / 2, offset))
    return real(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset)
{
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    WRITTEN("pwrite", real(descriptor, bytes, count / 2, offset))
    return real(descriptor, bytes, count, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    REAL(ssize_t, writev, int, const struct iovec *, int);
    WRITTEN("writev", real(descriptor, parts, count / 2))
    return real(descriptor, parts, count);
}

#define ON_DESCRIPTOR(name, room)                              \
    int name(int descriptor)                                   \
    {                                                          \
        REAL(int, name, int);                                  \
        char path[PATH_MAX];                                   \
        of_descriptor(descriptor, path);                       \
        int struck = strike(CHANGES, #name, path, room);       \
        if (struck > 0)                                        \
            die();                                             \
        return struck < 0 ? -1 : real(descriptor);             \
    }

ON_DESCRIPTOR(fsync, 1)
ON_DESCRIPTOR(fdatasync, 1)

#define TRUNCATES(name, offset)                                      \
    int name(int descriptor, offset length)                          \
    {                                                                \
        REAL(int, name, int, offset);                                \
        char path[PATH_MAX];                                         \
        of_descriptor(descriptor, path);                             \
        int struck = strike(CHANGES, #name, path, 0);                \
        if (struck > 0)                                              \
            die();                                                   \
        return struck < 0 ? -1 : real(descriptor, length);           \
    }

TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

#define ON_NAME(name, folder, room, parameters, types, arguments)    \
    int name parameters                                              \
    {                                                                \
        REAL(int, name, types);                                      \
        char whole[PATH_MAX];                                        \
        of_name(folder, path, whole);                                \
        int struck = strike(CHANGES, #name, whole, room);            \
        if (struck > 0)                                              \
            die();                                                   \
        return struck < 0 ? -1 : real arguments;                     \
    }
#define TYPES(...) __VA_ARGS__

ON_NAME(unlink, AT_FDCWD, 0, (const char *path), TYPES(const char *), (path))
ON_NAME(rmdir, AT_FDCWD, 0, (const char *path), TYPES(const char *), (path))
ON_NAME(mkdir, AT_FDCWD, 1, (const char *path, mode_t mode), TYPES(const char *, mode_t), (path, mode))
ON_NAME(unlinkat, folder, 0, (int folder, const char *path, int flags), TYPES(int, const char *, int), (folder, path, flags))
ON_NAME(mkdirat, folder, 1, (int folder, const char *path, mode_t mode), TYPES(int, const char *, mode_t), (folder, path, mode))
ON_NAME(truncate, AT_FDCWD, 0, (const char *path, off_t length), TYPES(const char *, off_t), (path, length))
ON_NAME(truncate64, AT_FDCWD, 0, (const char *path, off64_t length), TYPES(const char *, off64_t), (path, length))
ON_NAME(rename, AT_FDCWD, 0, (const char *old, const char *path), TYPES(const char *, const char *), (old, path))
ON_NAME(renameat, folder, 0, (int from, const char *old, int folder, const char *path), TYPES(int, const char *, int, const char *), (from, old, folder, path))

ssize_t read(int descriptor, void *bytes, size_t count)
{
    REAL(ssize_t, read, int, void *, size_t);
    if (aims[READS].prefix[0]) {
        char path[PATH_MAX];
        of_descriptor(descriptor, path);
        int struck = strike(READS, "read", path, 1);
        if (struck > 0)
            die();
        if (struck < 0)
            return -1;
    }
    return real(descriptor, bytes, count);
}
