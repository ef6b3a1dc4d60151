/* file transfer server (sequential) */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { OK, MORE, BAD };

static char header[1025];   /* one byte more for the terminating 0 */
static size_t used;

static void set_timeout(int s, int ms)
{
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

/* header -> name, size; *end is where the digits stop */
static int parse(char *name, unsigned long *size, char **end)
{
    char *bar = strchr(header, '|');
    size_t digits;

    if (strlen(header) < used)
        return BAD;             /* there is a 0 byte in it */
    if (bar == NULL)
        return MORE;
    digits = strspn(bar + 1, "0123456789");
    if (digits == 0 && bar[1] == '\0')
        return MORE;
    if (digits == 0 || digits > 10 || bar == header || bar - header > 255)
        return BAD;
    *size = strtoul(bar + 1, end, 10);
    snprintf(name, 256, "%.*s", (int)(bar - header), header);
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || *size > 1073741824)
        return BAD;
    return OK;
}

/* returns 1 when name and size are known, *rest points to the body then */
static int read_header(int s, char *name, unsigned long *size, char **rest)
{
    used = 0;
    header[0] = '\0';
    for (;;) {
        int state = parse(name, size, rest);
        ssize_t n;

        if (state == OK && **rest == '\n') {
            ++*rest;
            return 1;
        }
        if (state == BAD || (state == OK && **rest != '\0') || used == sizeof header - 1)
            return 0;
        set_timeout(s, state == OK ? 200 : 2000);
        n = recv(s, header + used, 1, 0);   /* one byte at a time, so nothing of the body is swallowed */
        if (n < 0 && state == OK)
            return 1;                       /* quiet: these were all digits */
        if (n <= 0)
            return 0;
        used += n;
        header[used] = '\0';
    }
}

static int copy(int s, FILE *out, unsigned long size)
{
    char buf[2048];
    ssize_t n;

    set_timeout(s, 2000);
    while (size > 0) {
        n = recv(s, buf, size < sizeof buf ? size : sizeof buf, 0);
        if (n <= 0)
            return 0;
        if (fwrite(buf, 1, n, out) != (size_t)n)
            return 0;
        size -= n;
    }
    set_timeout(s, 200);
    return recv(s, buf, 1, 0) <= 0;
}

static void session(int s)
{
    char name[256], *rest;
    unsigned long size;
    FILE *out;
    int ok;

    if (!read_header(s, name, &size, &rest)) {
        puts("[ERROR] header");
        return;
    }
    send(s, "ACK", 3, MSG_NOSIGNAL);
    out = fopen(".download", "wb");
    if (out == NULL)
        return;
    ok = copy(s, out, size) && fflush(out) == 0 && fsync(fileno(out)) == 0;
    fclose(out);
    if (ok && rename(".download", name) == 0) {
        printf("[SAVED] %s\n", name);
    } else {
        remove(".download");
        printf("[ERROR] %s is not complete\n", name);
    }
}

int main(void)
{
    struct sockaddr_in a;
    int on = 1, s = socket(PF_INET, SOCK_STREAM, 0);

    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(65432);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 3)) {
        perror("server");
        exit(EXIT_FAILURE);
    }
    setlinebuf(stdout);
    for (;;) {
        int client;

        puts("[LISTENING] Waiting for connection...");
        client = accept(s, NULL, NULL);
        if (client >= 0) {
            session(client);
            close(client);
        }
    }
}
