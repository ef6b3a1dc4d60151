/* Lab client: metadata line, file, then the server's ACK. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int fd;

void die(const char *message)
{
    fprintf(stderr, "client: %s: %s\n", message, errno ? strerror(errno) : "failed");
    exit(1);
}

// three seconds for the server to do its part
void await(short events)
{
    struct pollfd p = {fd, events, 0};
    if (poll(&p, 1, 3000) == 0) {
        errno = ETIMEDOUT;
        die("server");
    }
}

void write_all(const char *p, size_t left)
{
    while (left > 0) {
        await(POLLOUT);
        ssize_t n = send(fd, p, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1)
            die("send");
        p += n;
        left -= n;
    }
}

char *load(const char *path, size_t *size)
{
    struct stat st;
    int f = open(path, O_RDONLY);
    if (f == -1 || fstat(f, &st) == -1)
        die(path);
    char *content = malloc(st.st_size + 1);
    if (content == NULL)
        die("not enough memory");
    *size = 0;
    ssize_t n;
    while ((n = read(f, content + *size, st.st_size - *size)) > 0)
        *size += n;
    if (n == -1)
        die(path);
    close(f);
    return content;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("one FILE please");
    const char *slash = strrchr(argv[1], '/');
    const char *name = slash ? slash + 1 : argv[1];
    if (strchr(name, '|') || strchr(name, '\n'))
        die("the server would not understand this name");
    size_t size;
    char *content = load(argv[1], &size);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(65432)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
        die("connect");

    // TCP keeps the order, so both can go out one behind the other
    char line[400];
    int len = snprintf(line, sizeof line, "%s|%zu\n", name, size);
    write_all(line, len);
    write_all(content, size);
    if (shutdown(fd, SHUT_WR) == -1)
        die("shutdown");

    char answer[16];
    size_t got = 0;
    while (got < 3) {
        await(POLLIN);
        ssize_t n = recv(fd, answer + got, 3 - got, 0);
        if (n <= 0)
            die("no ACK");
        got += n;
    }
    if (memcmp(answer, "ACK", 3) != 0)
        die("wrong answer");
    ssize_t n;
    do {
        await(POLLIN);
        n = recv(fd, answer, sizeof answer, 0);
    } while (n > 0);
    if (n == -1)
        die("the connection broke");
    printf("sent %zu bytes\n", size);
    return 0;
}
