/* Sends a file: ./client FILE. The metadata ends with a line feed, so that the server knows where. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A server that keeps us waiting for three seconds has had its chance. */
static void wait_for(int sock, short what)
{
    struct pollfd p = { .fd = sock, .events = what };
    int ready;

    do {
        ready = poll(&p, 1, 3000);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        fprintf(stderr, "the server is silent\n");
        exit(1);
    }
}

static ssize_t receive(int sock, char *buf, size_t len)
{
    wait_for(sock, POLLIN);
    return recv(sock, buf, len, 0);
}

static void send_all(int sock, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n;

        wait_for(sock, POLLOUT);
        n = send(sock, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            fail("send");
        data += n;
        len -= n;
    }
}

/* Three bytes, one after the other. */
static void expect_ack(int sock)
{
    const char *ack = "ACK";
    char c;

    for (int i = 0; i < 3; i++) {
        ssize_t n = receive(sock, &c, 1);
        if (n < 0)
            fail("recv");
        if (n == 0 || c != ack[i]) {
            fprintf(stderr, "the server did not answer ACK\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(65432) };
    char header[512], buf[8192];
    const char *name;
    struct stat info;
    ssize_t n;
    size_t len;
    FILE *f;
    int sock;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    name = strrchr(argv[1], '/') ? strrchr(argv[1], '/') + 1 : argv[1];
    if (strpbrk(name, "|\n")) {
        fprintf(stderr, "names with | or a line feed cannot be sent\n");
        return 2;
    }
    f = fopen(argv[1], "rb");
    if (f == NULL || fstat(fileno(f), &info) < 0)
        fail(argv[1]);

    sock = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &server.sin_addr);
    if (connect(sock, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect");

    n = snprintf(header, sizeof header, "%s|%lld\n", name, (long long)info.st_size);
    send_all(sock, header, n);
    expect_ack(sock);
    while ((len = fread(buf, 1, sizeof buf, f)) > 0)
        send_all(sock, buf, len);
    if (ferror(f))
        fail(argv[1]);

    /* That is all. If the server breaks off now, it did not get everything. */
    if (shutdown(sock, SHUT_WR) < 0)
        fail("shutdown");
    while ((n = receive(sock, buf, sizeof buf)) > 0)
        ;
    if (n < 0)
        fail("after the last byte");
    printf("sent %lld bytes\n", (long long)info.st_size);
    close(sock);
    return 0;
}
