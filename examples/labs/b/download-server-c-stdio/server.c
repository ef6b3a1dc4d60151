/* Usage: ./server HOST PORT - sends files from the current folder to clients that ask with DOWNLOAD */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* the socket as two stdio streams */
struct connection {
    int fd;
    FILE *in;
    FILE *out;
};

int read_line(FILE *in, char *line, size_t size)
{
    size_t len = 0;
    int c;

    while ((c = fgetc(in)) != EOF && c != '\n') {
        if (len + 1 == size || c == '\0')
            return 0;
        line[len++] = c;
    }
    line[len] = '\0';
    return c == '\n';
}

FILE *find(const char *name)
{
    struct stat st;

    if (strchr(name, '/') || stat(name, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    return fopen(name, "rb");
}

/* returns 0 if the client did not get everything */
int serve(struct connection *c)
{
    char command[32], name[300], block[4096];
    size_t n;
    FILE *file;
    int ok;

    if (!read_line(c->in, command, sizeof(command)) || !read_line(c->in, name, sizeof(name)))
        return 0;
    printf("Client command: %s\n", command);
    if (strcmp(command, "DOWNLOAD") != 0)
        return 0;
    file = find(name);
    if (file == NULL) {
        fputs("NOT FOUND\n", c->out);
        return fflush(c->out) == 0;
    }
    fputs("OK\n", c->out);
    fflush(c->out);
    while ((n = fread(block, 1, sizeof(block), file)) > 0)
        fwrite(block, 1, n, c->out);
    ok = !ferror(file) && fflush(c->out) == 0 && !ferror(c->out);
    fclose(file);
    printf("%s: %s\n", name, ok ? "sent" : "not sent");
    return ok;
}

void handle(int fd)
{
    struct timeval timeout = {2, 0};
    struct linger reset = {1, 0};
    struct connection c;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    c.fd = fd;
    c.in = fdopen(fd, "r");
    c.out = fdopen(dup(fd), "w");
    if (serve(&c)) {
        shutdown(fd, SHUT_WR);
        while (fgetc(c.in) != EOF)
            ;
    } else {
        /* the client must notice that something is missing */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    fclose(c.out);
    fclose(c.in);
}

int main(int argc, char **argv)
{
    struct sockaddr_in addr;
    int server, conn;

    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    server = socket(AF_INET, SOCK_STREAM, 0);
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = inet_addr(argv[1]);
    addr.sin_port = htons(atoi(argv[2]));
    if (bind(server, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
        perror("bind");
        return 1;
    }
    listen(server, 10);
    printf("Server listening on %s port %s\n", argv[1], argv[2]);
    while ((conn = accept(server, NULL, NULL)) != -1) {
        printf("Client connected\n");
        handle(conn);
    }
    perror("accept");
    return 1;
}
