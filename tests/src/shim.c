/* Stands between a program and libc (LD_PRELOAD). It counts what goes to disk and over sockets, and at a chosen count it
   kills the process or makes a call fail: the crash points of the suite, without a switch in the program itself.
   The board is a file of 64-bit words that the test writes and reads while the program runs; shim.rs names its words. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum word { POINT, COUNTDOWN, FIRED, FAIL_FSYNCS, DISK_FULL, PROVIDER_PORT, OWN_PORT, FSYNCS, WORDS };
enum point {
    NONE, BEFORE_FSYNC, AFTER_FSYNC, BEFORE_ASKING, AFTER_ASKING, AFTER_HEARING, BEFORE_ANSWERING, AFTER_ANSWERING,
    BEFORE_STATEMENT, AFTER_STATEMENT, AFTER_ROWS
};
enum peer { NOBODY, PROVIDER, CLIENT, DATABASE };

static volatile uint64_t *board;

__attribute__((constructor)) static void open_board(void) {
    const char *path = getenv("TOLLGATE_SHIM");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *words = mmap(NULL, WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (words != MAP_FAILED) board = words;
}

static void passes(enum point point) {
    if (!board || board[POINT] != (uint64_t)point) return;
    if (__atomic_sub_fetch(&board[COUNTDOWN], 1, __ATOMIC_SEQ_CST) != 0) return;
    board[FIRED] = 1;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static enum peer peer_of(int fd) {
    if (!board || !board[POINT]) return NOBODY;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    if (getpeername(fd, (struct sockaddr *)&name, &size) != 0) return NOBODY;
    if (name.ss_family == AF_UNIX) {
        return size > 2 && strstr(((struct sockaddr_un *)&name)->sun_path, ".s.PGSQL.") ? DATABASE : NOBODY;
    }
    if (name.ss_family != AF_INET) return NOBODY;
    if (ntohs(((struct sockaddr_in *)&name)->sin_port) == board[PROVIDER_PORT]) return PROVIDER;
    size = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0) return NOBODY;
    return ntohs(((struct sockaddr_in *)&name)->sin_port) == board[OWN_PORT] ? CLIENT : NOBODY;
}

static void before_sending(int fd) {
    switch (peer_of(fd)) {
    case PROVIDER: passes(BEFORE_ASKING); break;
    case CLIENT: passes(BEFORE_ANSWERING); break;
    case DATABASE: passes(BEFORE_STATEMENT); break;
    case NOBODY: break;
    }
}

static void after_sending(int fd, ssize_t sent) {
    if (sent <= 0) return;
    switch (peer_of(fd)) {
    case PROVIDER: passes(AFTER_ASKING); break;
    case CLIENT: passes(AFTER_ANSWERING); break;
    case DATABASE: passes(AFTER_STATEMENT); break;
    case NOBODY: break;
    }
}

static void after_receiving(int fd, ssize_t received) {
    if (received <= 0) return;
    switch (peer_of(fd)) {
    case PROVIDER: passes(AFTER_HEARING); break;
    case DATABASE: passes(AFTER_ROWS); break;
    case CLIENT: case NOBODY: break;
    }
}

/* Files of the database: its pages, its log, its index. */
static int is_database(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strstr(path, "tollgate.db") != NULL || strstr(path, "/pg_wal/") != NULL;
}

static int disk_is_full(int fd) {
    if (!board || !board[DISK_FULL] || !is_database(fd)) return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int sync_file(int fd, int (*real)(int)) {
    if (!board) return real(fd);
    __atomic_add_fetch(&board[FSYNCS], 1, __ATOMIC_SEQ_CST);
    passes(BEFORE_FSYNC);
    if (board[FAIL_FSYNCS] > 0 && is_database(fd)) {
        board[FAIL_FSYNCS]--;
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    passes(AFTER_FSYNC);
    return result;
}

int fsync(int fd) { return sync_file(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_file(fd, REAL(fdatasync)); }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return disk_is_full(fd) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return disk_is_full(fd) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (disk_is_full(fd)) return -1;
    before_sending(fd);
    ssize_t sent = REAL(write)(fd, bytes, count);
    after_sending(fd, sent);
    return sent;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    before_sending(fd);
    ssize_t sent = REAL(writev)(fd, parts, count);
    after_sending(fd, sent);
    return sent;
}
ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    before_sending(fd);
    ssize_t sent = REAL(send)(fd, bytes, count, flags);
    after_sending(fd, sent);
    return sent;
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    before_sending(fd);
    ssize_t sent = REAL(sendmsg)(fd, message, flags);
    after_sending(fd, sent);
    return sent;
}
ssize_t read(int fd, void *bytes, size_t count) {
    ssize_t received = REAL(read)(fd, bytes, count);
    after_receiving(fd, received);
    return received;
}
ssize_t readv(int fd, const struct iovec *parts, int count) {
    ssize_t received = REAL(readv)(fd, parts, count);
    after_receiving(fd, received);
    return received;
}
ssize_t recv(int fd, void *bytes, size_t count, int flags) {
    ssize_t received = REAL(recv)(fd, bytes, count, flags);
    if (!(flags & MSG_PEEK)) after_receiving(fd, received);
    return received;
}
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t received = REAL(recvmsg)(fd, message, flags);
    after_receiving(fd, received);
    return received;
}
