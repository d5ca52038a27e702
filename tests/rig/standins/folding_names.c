/* Preloaded: below FOLD_NAMES, names that differ only in case, or in how e with an accent is written, are one name, as on
   macOS's file systems. A new file keeps its name; a rename may change the case of one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const unsigned char *next_char(const unsigned char *text, int *code) {
    if ((text[0] | 32) == 'e' && text[1] == 0xcc && text[2] == 0x81) { *code = 0xe9; return text + 3; }
    if (text[0] == 0xc3 && (text[1] == 0xa9 || text[1] == 0x89)) { *code = 0xe9; return text + 2; }
    *code = *text >= 'A' && *text <= 'Z' ? *text + 32 : *text;
    return text + 1;
}

static int is_same(const char *one, const char *other) {
    const unsigned char *a = (const unsigned char *)one, *b = (const unsigned char *)other;
    int first, second;
    do {
        a = next_char(a, &first);
        b = next_char(b, &second);
    } while (first && first == second);
    return first == second;
}

static int is_there(const char *path) {
    struct stat info;
    return syscall(SYS_newfstatat, AT_FDCWD, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Replaces names in an absolute path by those of the files that are there. */
static const char *find(int folder, const char *path, char *found) {
    char whole[PATH_MAX * 2] = "", link[64];
    const char *root = getenv("FOLD_NAMES");
    int saved = errno;
    if (!root || !path || !*path) return path;
    if (*path != '/') {
        if (folder == AT_FDCWD) { if (!getcwd(whole, PATH_MAX)) return path; }
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = syscall(SYS_readlink, link, whole, PATH_MAX);
            if (length < 0) return path;
            whole[length] = 0;
        }
        strcat(whole, "/");
    }
    strncat(whole, path, PATH_MAX - 1);
    size_t size = strlen(root);
    if (strncmp(whole, root, size) || whole[size] != '/') { errno = saved; return path; }
    strcpy(found, root);
    char *rest = NULL, *name = strtok_r(whole + size, "/", &rest);
    for (; name; name = strtok_r(NULL, "/", &rest)) {
        size_t end = strlen(found);
        snprintf(found + end, PATH_MAX - end, "/%s", name);
        if (is_there(found)) continue;
        found[end] = 0;
        DIR *entries = REAL(opendir)(found);
        struct dirent *entry;
        found[end] = '/';
        while (entries && (entry = readdir(entries)))
            if (is_same(entry->d_name, name)) { snprintf(found + end, PATH_MAX - end, "/%s", entry->d_name); break; }
        if (entries) closedir(entries);
    }
    errno = saved;
    return found;
}

#define P1(type, name, before, call) type name before { char a[PATH_MAX * 2]; return REAL(name) call; }
#define HERE find(AT_FDCWD, p, a)
#define THERE find(d, p, a)
P1(int, stat, (const char *p, struct stat *s), (HERE, s))
P1(int, lstat, (const char *p, struct stat *s), (HERE, s))
P1(int, stat64, (const char *p, struct stat64 *s), (HERE, s))
P1(int, lstat64, (const char *p, struct stat64 *s), (HERE, s))
P1(int, fstatat, (int d, const char *p, struct stat *s, int f), (d, THERE, s, f))
P1(int, fstatat64, (int d, const char *p, struct stat64 *s, int f), (d, THERE, s, f))
P1(int, statx, (int d, const char *p, int f, unsigned m, struct statx *s), (d, THERE, f, m, s))
P1(int, access, (const char *p, int m), (HERE, m))
P1(int, faccessat, (int d, const char *p, int m, int f), (d, THERE, m, f))
P1(int, unlink, (const char *p), (HERE))
P1(int, unlinkat, (int d, const char *p, int f), (d, THERE, f))
P1(int, rmdir, (const char *p), (HERE))
P1(int, mkdir, (const char *p, mode_t m), (HERE, m))
P1(int, mkdirat, (int d, const char *p, mode_t m), (d, THERE, m))
P1(int, chmod, (const char *p, mode_t m), (HERE, m))
P1(int, fchmodat, (int d, const char *p, mode_t m, int f), (d, THERE, m, f))
P1(int, chdir, (const char *p), (HERE))
P1(int, utimensat, (int d, const char *p, const struct timespec *t, int f), (d, THERE, t, f))
P1(ssize_t, readlink, (const char *p, char *b, size_t n), (HERE, b, n))
P1(ssize_t, readlinkat, (int d, const char *p, char *b, size_t n), (d, THERE, b, n))
P1(int, symlink, (const char *t, const char *p), (t, HERE))
P1(int, symlinkat, (const char *t, int d, const char *p), (t, d, THERE))
P1(DIR *, opendir, (const char *p), (HERE))
P1(FILE *, fopen, (const char *p, const char *m), (HERE, m))
P1(FILE *, fopen64, (const char *p, const char *m), (HERE, m))

#define OPEN(name, before, call) \
    int name before { \
        char a[PATH_MAX * 2]; va_list more; va_start(more, f); mode_t m = va_arg(more, mode_t); va_end(more); \
        return REAL(name) call; }
OPEN(open, (const char *p, int f, ...), (HERE, f, m))
OPEN(open64, (const char *p, int f, ...), (HERE, f, m))
OPEN(openat, (int d, const char *p, int f, ...), (d, THERE, f, m))
OPEN(openat64, (int d, const char *p, int f, ...), (d, THERE, f, m))

int renameat(int d, const char *p, int e, const char *q) {
    char a[PATH_MAX * 2], b[PATH_MAX * 2];
    const char *from = find(d, p, a), *to = find(e, q, b), *name = strrchr(q, '/');
    if (!strcmp(from, to) && to == b) strcpy(strrchr(b, '/') + 1, name ? name + 1 : q);
    return REAL(renameat)(d, from, e, to);
}
int rename(const char *p, const char *q) { return renameat(AT_FDCWD, p, AT_FDCWD, q); }
int renameat2(int d, const char *p, int e, const char *q, unsigned f) { errno = EINVAL; return -1; }

int linkat(int d, const char *p, int e, const char *q, int f) {
    char a[PATH_MAX * 2], b[PATH_MAX * 2];
    return REAL(linkat)(d, find(d, p, a), e, find(e, q, b), f);
}
int link(const char *p, const char *q) { return linkat(AT_FDCWD, p, AT_FDCWD, q, 0); }
