/* upload.c: sends a file to the server with UPLOAD */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* gives up after 3 seconds */
void wait_for(int s, short events)
{
    struct pollfd p = {s, events, 0};
    if (poll(&p, 1, 3000) == 0) {
        fprintf(stderr, "timeout\n");
        exit(1);
    }
}

void send_all(int s, const char *data, size_t n)
{
    while (n > 0) {
        wait_for(s, POLLOUT);
        ssize_t done = send(s, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0) {
            perror("send");
            exit(1);
        }
        data += done;
        n -= done;
    }
}

/* status is one line, it is read without the line feed */
void recv_status(int s, char *status, int max)
{
    int len = 0;
    char c;

    while (len < max - 1) {
        wait_for(s, POLLIN);
        ssize_t n = recv(s, &c, 1, 0);
        if (n < 0) {
            perror("no status");
            exit(1);
        }
        if (n == 0 || c == '\n')
            break;
        status[len++] = c;
    }
    status[len] = '\0';
}

int main(int argc, char **argv)
{
    char *name, request[1000], status[100], data[4096];
    struct sockaddr_in addr;
    size_t n;
    ssize_t r;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 1;
    }
    FILE *f = fopen(argv[1], "rb");
    if (!f) {
        perror(argv[1]);
        return 1;
    }
    name = strrchr(argv[1], '/');
    name = name ? name + 1 : argv[1];
    if (strchr(name, '\n')) {
        fprintf(stderr, "no line feeds please\n");
        return 1;
    }

    int s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(80);
    addr.sin_addr.s_addr = inet_addr("127.0.0.1");
    if (connect(s, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        perror("connect");
        return 1;
    }

    snprintf(request, sizeof(request), "UPLOAD\n%s\n", name);
    send_all(s, request, strlen(request));
    recv_status(s, status, sizeof(status));
    if (strcmp(status, "NOT FOUND") == 0) {
        fprintf(stderr, "server does not take %s\n", name);
        return 1;
    }

    while ((n = fread(data, 1, sizeof(data), f)) > 0)
        send_all(s, data, n);
    shutdown(s, SHUT_WR);

    /* the server closes when it is ready */
    do {
        wait_for(s, POLLIN);
        r = recv(s, data, sizeof(data), 0);
    } while (r > 0);
    if (r < 0) {
        perror("server");
        return 1;
    }
    printf("uploaded %s\n", name);
    return 0;
}
