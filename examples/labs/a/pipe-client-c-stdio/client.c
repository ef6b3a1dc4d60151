/* client FILE - sends the file with stdio on top of the socket */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CHUNK 1024

/* do not wait for ever */
static void wait_until_ready(int sock, short events)
{
    struct pollfd p = {sock, events, 0};
    if (poll(&p, 1, 3000) == 0) {
        fprintf(stderr, "server does not react\n");
        exit(1);
    }
}

int main(int argc, char *argv[])
{
    struct sockaddr_in addr;
    struct stat st;
    char chunk[CHUNK];
    int c;
    FILE *file, *in, *out;
    char *name;
    size_t n;
    int sock;

    if (argc < 2) {
        fprintf(stderr, "usage: client FILE\n");
        return 1;
    }
    file = fopen(argv[1], "rb");
    if (file == NULL || stat(argv[1], &st) != 0) {
        perror(argv[1]);
        return 1;
    }
    name = strrchr(argv[1], '/');
    name = name == NULL ? argv[1] : name + 1;
    if (strchr(name, '|') != NULL) {
        fprintf(stderr, "the file must not have a | in its name\n");
        return 1;
    }

    sock = socket(AF_INET, SOCK_STREAM, 0);
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(65432);
    addr.sin_addr.s_addr = inet_addr("127.0.0.1");
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        perror("connect");
        return 1;
    }
    in = fdopen(sock, "rb");
    setbuf(in, NULL);
    out = fdopen(sock, "wb");

    fprintf(out, "%s|%lld", name, (long long)st.st_size);
    fflush(out);
    for (n = 0; n < 3; n++) {
        wait_until_ready(sock, POLLIN);
        c = fgetc(in);
        if (c != "ACK"[n]) {
            fprintf(stderr, "no ACK from the server\n");
            return 1;
        }
    }

    while ((n = fread(chunk, 1, CHUNK, file)) > 0) {
        wait_until_ready(sock, POLLOUT);
        fwrite(chunk, 1, n, out);
    }
    if (fflush(out) != 0 || ferror(out) || ferror(file)) {
        fprintf(stderr, "could not send everything\n");
        return 1;
    }
    if (shutdown(sock, SHUT_WR) != 0) {
        perror("shutdown");
        return 1;
    }

    /* wait until the server hangs up, an error here means that something got lost */
    do {
        wait_until_ready(sock, POLLIN);
    } while (fgetc(in) != EOF);
    if (ferror(in)) {
        perror("server");
        return 1;
    }
    printf("[SENT] %s\n", name);
    return 0;
}
