// Lab "File transfer over TCP", server
#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 65432
#define HEADER 600
#define TEMP ".server.tmp"

// waits until there is something to read
bool readable(int conn, int milliseconds)
{
    struct pollfd p = {conn, POLLIN, 0};
    return poll(&p, 1, milliseconds) > 0;
}

// splits "name|size" at the last |, returns the size or -1
long split(const char *header, int len, char *name)
{
    int bar = len - 1;
    while (bar >= 0 && isdigit((unsigned char)header[bar]))
        bar--;
    int digits = len - 1 - bar;
    if (bar < 1 || bar > 255 || header[bar] != '|' || digits < 1 || digits > 10)
        return -1;
    memcpy(name, header, bar);
    name[bar] = 0;
    if ((int)strlen(name) != bar || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return -1;
    return atol(header + bar + 1);
}

// reads the header, returns the size; *have bytes of the body are in data afterwards
long get_header(int conn, char *name, char *data, int *have)
{
    char header[HEADER + 1] = "";
    int len = 0;

    while (len < HEADER) {
        if (!readable(conn, 2000))
            return -1;
        int n = recv(conn, header + len, HEADER - len, 0);
        if (n <= 0)
            return -1;
        len += n;

        char *end = memchr(header, '\n', len);
        if (end && split(header, end - header, name) >= 0) {
            *have = len - (end + 1 - header);
            memcpy(data, end + 1, *have);
            return split(header, end - header, name);
        }
        // without line feed: wait if there are more digits
        if (split(header, len, name) >= 0 && !readable(conn, 200)) {
            *have = 0;
            return split(header, len, name);
        }
    }
    return -1;
}

void serve(int conn)
{
    char name[256], data[4096];
    int n;
    long size = get_header(conn, name, data, &n);
    if (size < 0 || size > 1L << 30) {
        printf("[ERROR] bad header\n");
        return;
    }
    if (send(conn, "ACK", 3, MSG_NOSIGNAL) < 3)
        return;

    FILE *out = fopen(TEMP, "wb");
    if (!out) {
        perror(TEMP);
        return;
    }
    long received = 0;
    for (;;) {
        fwrite(data, 1, n, out);
        received += n;
        if (received >= size || !readable(conn, 2000))
            break;
        n = recv(conn, data, sizeof(data), 0);
        if (n <= 0)
            break;
    }
    // nothing may follow behind the last byte
    bool extra = received > size || (received == size && readable(conn, 200) && recv(conn, data, 1, 0) > 0);
    bool written = !ferror(out) && fflush(out) == 0 && fsync(fileno(out)) == 0;
    fclose(out);
    bool nothing = received == 0 && size > 0;
    if (extra || nothing || !written) {
        printf("[ERROR] could not receive %s\n", name);
        unlink(TEMP);
        return;
    }
    if (rename(TEMP, name) != 0) {
        perror(name);
        unlink(TEMP);
        return;
    }
    printf("[SAVED] %s, %ld bytes\n", name, received);
}

int main()
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    struct sockaddr_in addr = {0};
    addr.sin_family = AF_INET;
    addr.sin_port = htons(PORT);
    addr.sin_addr.s_addr = inet_addr("127.0.0.1");
    if (bind(server, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        perror("bind");
        return 1;
    }
    listen(server, 5);
    while (1) {
        printf("[LISTENING] Waiting for connection...\n");
        int conn = accept(server, NULL, NULL);
        if (conn < 0)
            continue;
        serve(conn);
        close(conn);
    }
}
