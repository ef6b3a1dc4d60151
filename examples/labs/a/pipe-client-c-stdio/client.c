/* client FILE - sends the file with stdio on top of the socket */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define CHUNK 1024

int main(int argc, char *argv[])
{
    struct sockaddr_in addr;
    struct timeval tv = {3, 0};
    struct stat st;
    char chunk[CHUNK], ack[3];
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
    /* do not wait for ever */
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        perror("connect");
        return 1;
    }
    in = fdopen(sock, "rb");
    out = fdopen(sock, "wb");

    fprintf(out, "%s|%lld", name, (long long)st.st_size);
    fflush(out);
    if (fread(ack, 1, 3, in) != 3 || memcmp(ack, "ACK", 3) != 0) {
        fprintf(stderr, "no ACK from the server\n");
        return 1;
    }

    while ((n = fread(chunk, 1, CHUNK, file)) > 0)
        fwrite(chunk, 1, n, out);
    if (fflush(out) != 0 || ferror(out) || ferror(file)) {
        fprintf(stderr, "could not send everything\n");
        return 1;
    }
    shutdown(sock, SHUT_WR);

    /* wait until the server hangs up, an error here means that something got lost */
    while (fgetc(in) != EOF)
        ;
    if (ferror(in)) {
        perror("server");
        return 1;
    }
    printf("[SENT] %s\n", name);
    return 0;
}
