/* ./download NAME */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEMP ".download.part"

static int connect_to_server(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(80) };
    int s = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(s, (struct sockaddr *)&a, sizeof a) != 0) {
        perror("connect");
        exit(1);
    }
    return s;
}

/* recv with a timeout of three seconds */
static ssize_t receive(int s, char *buf, size_t len)
{
    struct pollfd p = { .fd = s, .events = POLLIN };
    int ready;

    do {
        ready = poll(&p, 1, 3000);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    return recv(s, buf, len, 0);
}

int main(int argc, char **argv)
{
    const char *name = argc == 2 ? argv[1] : "";
    char request[600], status[32], data[8192];
    size_t len;
    ssize_t n;
    FILE *out;
    int s, ok;

    if (strrchr(name, '/'))
        name = strrchr(name, '/') + 1;
    if (*name == '\0' || strlen(name) > 255 || strchr(name, '\n')) {
        fprintf(stderr, "usage: download NAME\n");
        return 2;
    }
    s = connect_to_server();
    len = snprintf(request, sizeof request, "DOWNLOAD\n%s\n", name);
    if (send(s, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
        perror("send");
        return 1;
    }

    /* the status line, byte by byte because the file begins right behind it */
    for (len = 0; len < sizeof status - 1; len++) {
        if (receive(s, status + len, 1) != 1) {
            fprintf(stderr, "no status from the server\n");
            return 1;
        }
        if (status[len] == '\n')
            break;
    }
    status[len] = '\0';
    if (strcmp(status, "OK") != 0) {
        fprintf(stderr, "server: %s\n", status);
        return 1;
    }

    out = fopen(TEMP, "wb");
    if (out == NULL) {
        perror(TEMP);
        return 1;
    }
    while ((n = receive(s, data, sizeof data)) > 0)
        fwrite(data, 1, n, out);
    if (n < 0)
        perror("recv");
    ok = n == 0 && !ferror(out) && fflush(out) == 0 && fsync(fileno(out)) == 0;
    fclose(out);
    if (!ok || rename(TEMP, name) != 0) {
        unlink(TEMP);
        fprintf(stderr, "%s is not complete\n", name);
        return 1;
    }
    return 0;
}
