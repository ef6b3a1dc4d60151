/*
 * File transfer over TCP: server. Every client gets a process of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 65432
#define SILENCE 2000              /* ms until a client is given up */
#define QUIET 200                 /* ms without new bytes: the metadata is complete */
#define MAX_SIZE (1024LL * 1024 * 1024)
#define MAX_METADATA 1024

struct metadata {
    char name[256];
    long long size;
};

/* recv, but not for ever. Returns -2 if nothing came in time. */
static ssize_t recv_timeout(int fd, char *buf, size_t len, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int ready;

    do {
        ready = poll(&p, 1, ms);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return -2;
    return ready < 0 ? -1 : recv(fd, buf, len, 0);
}

/* Is text[0..len] a name, a | and digits? 1 yes, 0 not (yet), -1 never. The last | counts. */
static int parse(const char *text, size_t len, struct metadata *m)
{
    size_t bar = len, name_len;

    while (bar > 0 && text[bar - 1] != '|')
        bar--;
    if (bar == 0 || bar == len || len - bar > 10)
        return 0;
    m->size = 0;
    for (size_t i = bar; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        m->size = m->size * 10 + (text[i] - '0');
    }
    name_len = bar - 1;
    if (m->size > MAX_SIZE || name_len == 0 || name_len > 255)
        return -1;
    if (memchr(text, '/', name_len) || memchr(text, '\0', name_len))
        return -1;
    memcpy(m->name, text, name_len);
    m->name[name_len] = '\0';
    return strcmp(m->name, ".") == 0 || strcmp(m->name, "..") == 0 ? -1 : 1;
}

/* Reads the metadata; body bytes that came with it are moved to the front of buf. Returns their number or -1. */
static ssize_t read_metadata(int fd, char *buf, struct metadata *m)
{
    size_t len = 0;

    while (len < MAX_METADATA) {
        char *newline = memchr(buf, '\n', len);
        int complete = parse(buf, len, m);
        ssize_t n;

        if (newline && parse(buf, newline - buf, m) == 1) {
            size_t used = newline - buf + 1;
            memmove(buf, buf + used, len - used);
            return len - used;
        }
        if (complete < 0)
            return -1;
        n = recv_timeout(fd, buf + len, MAX_METADATA - len, complete ? QUIET : SILENCE);
        if (n == -2 && complete)
            return 0;
        if (n <= 0)
            return -1;
        len += n;
    }
    return -1;
}

static int read_body(int fd, FILE *f, long long size, char *first, size_t first_len)
{
    char buf[16384];
    long long got = first_len;
    ssize_t n;

    if (fwrite(first, 1, first_len, f) != first_len)
        return -1;
    while (got < size) {
        n = recv_timeout(fd, buf, sizeof buf, SILENCE);
        if (n <= 0) {
            fprintf(stderr, "[ERROR] %lld of %lld bytes\n", got, size);
            return -1;
        }
        if (fwrite(buf, 1, n, f) != (size_t)n)
            return -1;
        got += n;
    }
    /* more than announced is an error as well */
    if (got > size || recv_timeout(fd, buf, 1, QUIET) > 0)
        return -1;
    return fflush(f) == 0 && fsync(fileno(f)) == 0 ? 0 : -1;
}

static int serve(int fd)
{
    char buf[MAX_METADATA], temp[32];
    struct metadata m;
    ssize_t rest = read_metadata(fd, buf, &m);
    FILE *f;
    int ok;

    if (rest < 0) {
        fprintf(stderr, "[ERROR] no usable metadata\n");
        return 1;
    }
    if (send(fd, "ACK", 3, MSG_NOSIGNAL) != 3)
        return 1;
    snprintf(temp, sizeof temp, ".recv-%d", (int)getpid());
    f = fopen(temp, "wb");
    if (f == NULL) {
        perror(temp);
        return 1;
    }
    ok = read_body(fd, f, m.size, buf, rest) == 0;
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(temp, m.name) != 0) {
        unlink(temp);
        return 1;
    }
    printf("[SAVED] %s\n", m.name);
    return 0;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0) {
        perror("bind");
        return 1;
    }
    signal(SIGCHLD, SIG_IGN); /* no zombies */
    printf("[LISTENING] Waiting for connection...\n");
    fflush(stdout);
    for (;;) {
        int conn = accept(listener, NULL, NULL);
        pid_t child;

        if (conn < 0)
            continue;
        child = fork();
        if (child == 0) {
            close(listener);
            exit(serve(conn));
        }
        if (child < 0)
            perror("fork");
        close(conn);
    }
}
