/* addfile client: ./client FILE */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

/* reads a whole line of the server and compares it */
static void expect(int sock, const char *line)
{
    char answer[64];
    size_t len = 0;

    do {
        ssize_t n = recv(sock, answer + len, 1, 0);
        check(n >= 0, "recv");
        if (n == 0)
            break;
        len++;
    } while (answer[len - 1] != '\n' && len < sizeof(answer));
    if (len != strlen(line) || memcmp(answer, line, len) != 0) {
        fprintf(stderr, "unexpected answer: %.*s\n", (int)len, answer);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char *argv[])
{
    struct sockaddr_in addr = {0};
    struct timeval limit = {3, 0};
    struct stat st;
    char header[400], *data, *name;
    FILE *file;
    ssize_t n;
    int sock, len;

    if (argc != 2) {
        fprintf(stderr, "which file?\n");
        return EXIT_FAILURE;
    }
    file = fopen(argv[1], "rb");
    check(file != NULL && fstat(fileno(file), &st) == 0, argv[1]);
    data = malloc(st.st_size + 1);
    check(data != NULL, "malloc");
    check(fread(data, 1, st.st_size, file) == (size_t)st.st_size, "fread");
    fclose(file);
    name = strrchr(argv[1], '/') != NULL ? strrchr(argv[1], '/') + 1 : argv[1];
    if (strchr(name, '\n') != NULL) {
        fprintf(stderr, "cannot send this name\n");
        return EXIT_FAILURE;
    }

    sock = socket(AF_INET, SOCK_STREAM, 0);
    check(sock >= 0, "socket");
    check(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0, "setsockopt");
    check(setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0, "setsockopt");
    addr.sin_family = AF_INET;
    addr.sin_port = htons(80);
    addr.sin_addr.s_addr = inet_addr("127.0.0.1");
    check(connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");

    len = sprintf(header, "addfile\n%.300s\n", name);
    check(send(sock, header, len, MSG_NOSIGNAL) >= 0, "send header");
    expect(sock, "file recv\n");
    check(send(sock, data, st.st_size, MSG_NOSIGNAL) >= 0, "send data");
    check(shutdown(sock, SHUT_WR) == 0, "shutdown");
    expect(sock, "file data recv\n");

    while ((n = recv(sock, header, sizeof(header), 0)) > 0)
        continue;
    check(n == 0, "close");
    close(sock);
    printf("%s is on the server\n", name);
    return EXIT_SUCCESS;
}
