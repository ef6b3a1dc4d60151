/*
 * addfile client for servers that take one recv for one text: the texts have no end mark, so there is a pause
 * between them, and Nagle's algorithm is off.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int sock;

static int quit(const char *message)
{
    fprintf(stderr, "client: %s%s%s\n", message, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

/* 0 if nothing happens for three seconds */
static int ready(short events)
{
    struct pollfd p = { .fd = sock, .events = events };
    int n;

    do {
        n = poll(&p, 1, 3000);
    } while (n < 0 && errno == EINTR);
    errno = n == 0 ? ETIMEDOUT : 0;
    return n;
}

static void send_data(const char *data, size_t len)
{
    size_t sent = 0;

    while (sent < len) {
        ssize_t n;

        if (!ready(POLLOUT))
            quit("cannot send");
        n = send(sock, data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            quit("cannot send");
        sent += n;
    }
}

/* The confirmations do end with a line feed. */
static void confirmation(const char *wanted)
{
    size_t len = strlen(wanted);
    char c;

    for (size_t i = 0; i < len; i++) {
        ssize_t n;

        if (!ready(POLLIN))
            quit("no confirmation");
        n = recv(sock, &c, 1, 0);
        if (n < 0)
            quit("no confirmation");
        if (n == 0 || c != wanted[i])
            quit("the server said something else");
    }
    printf("Received: %s", wanted);
}

int main(int argc, char **argv)
{
    struct sockaddr_in server;
    int on = 1;
    char *name, buf[4096];
    size_t n;
    ssize_t m;
    FILE *f;

    if (argc != 2 || (f = fopen(argv[1], "rb")) == NULL)
        quit("a FILE is needed");
    name = strrchr(argv[1], '/');
    name = name ? name + 1 : argv[1];
    if (strchr(name, '\n'))
        quit("no line feed in names, please");

    sock = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    memset(&server, 0, sizeof server);
    server.sin_family = AF_INET;
    server.sin_port = htons(80);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(sock, (struct sockaddr *)&server, sizeof server) < 0)
        quit("cannot connect");

    send_data("addfile", 7);
    usleep(300000);
    send_data(name, strlen(name));
    confirmation("file recv\n");
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        send_data(buf, n);
    if (ferror(f) || shutdown(sock, SHUT_WR) < 0)
        quit("cannot send everything");
    confirmation("file data recv\n");

    /* wait for the server's end; only a reset is bad now */
    m = 1;
    while (m > 0 && ready(POLLIN))
        m = recv(sock, buf, sizeof buf, 0);
    if (m < 0)
        quit("connection lost");
    return 0;
}
