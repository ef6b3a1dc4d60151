/*
 * UPLOAD and addfile for many clients at once: one process, one poll loop.
 * Texts end with a line feed. The data ends when the client closes its side.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 64
#define SILENCE 2     /* seconds */

enum state { COMMAND, NAME, DATA, LEAVING };

struct client {
    int fd;
    enum state state;
    int addfile;
    char text[300];
    size_t len;
    char name[320];
    char temp[32];
    FILE *out;
    struct timespec heard;
};

static struct client clients[CLIENTS];
static struct pollfd fds[CLIENTS + 1];
static int count;

static int say(struct client *c, const char *answer)
{
    ssize_t len = strlen(answer);

    if (send(c->fd, answer, len, MSG_NOSIGNAL) != len)
        return 0;
    printf("Sent: %s", answer);
    return 1;
}

static void drop(struct client *c)
{
    if (c->out) {
        fclose(c->out);
        unlink(c->temp);
    }
    close(c->fd);
    c->fd = -1;
}

/* Nothing more to say; what the client still sends is read, so that it gets our answer. */
static void leave(struct client *c)
{
    shutdown(c->fd, SHUT_WR);
    c->state = LEAVING;
}

static int allowed(const char *name, size_t len)
{
    return len > 0 && len < 240 && strlen(name) == len && !strchr(name, '/')
        && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void begin(struct client *c)
{
    static unsigned number;
    struct stat st;

    if (!allowed(c->text, c->len)) {
        printf("Name refused\n");
        if (c->addfile) {
            drop(c);
            return;
        }
        say(c, "NOT FOUND\n");
        leave(c);
        return;
    }
    snprintf(c->name, sizeof c->name, "%s%s", c->addfile ? "server_" : "", c->text);
    snprintf(c->temp, sizeof c->temp, ".part%u", number++);
    if (stat(c->name, &st) == 0 && S_ISDIR(st.st_mode))
        c->out = NULL;
    else
        c->out = fopen(c->temp, "wb");
    if (c->out == NULL && c->addfile) {
        drop(c);
    } else if (c->out == NULL) {
        say(c, "NOT FOUND\n");
        leave(c);
    } else {
        printf("Creating new file: %s\n", c->name);
        c->state = DATA;
        /* A reset is told once: after this, recv would call it an end. */
        if (!say(c, c->addfile ? "file recv\n" : "OK\n"))
            drop(c);
    }
}

static void line(struct client *c)
{
    c->text[c->len] = '\0';
    if (c->state == NAME) {
        begin(c);
    } else {
        printf("Client command: %s\n", c->text);
        c->addfile = strcmp(c->text, "addfile") == 0;
        c->state = NAME;
        if (!c->addfile && strcmp(c->text, "UPLOAD") != 0)
            drop(c);
    }
    c->len = 0;
}

/* The client has closed its side in order. */
static void end_of_data(struct client *c)
{
    int ok;

    if (c->state != DATA) {
        drop(c);
        return;
    }
    ok = !ferror(c->out) && fflush(c->out) == 0 && fsync(fileno(c->out)) == 0;
    fclose(c->out);
    c->out = NULL;
    if (ok && rename(c->temp, c->name) == 0) {
        if (c->addfile)
            say(c, "file data recv\n");
    } else {
        unlink(c->temp);
        printf("Cannot store %s\n", c->name);
    }
    drop(c);
}

static void readable(struct client *c)
{
    char buf[16384];
    ssize_t n = recv(c->fd, buf, sizeof buf, 0);

    clock_gettime(CLOCK_MONOTONIC, &c->heard);
    if (n < 0) {
        drop(c);
        return;
    }
    if (n == 0) {
        end_of_data(c);
        return;
    }
    for (ssize_t i = 0; i < n && c->fd >= 0; i++) {
        if (c->state == DATA) {
            fwrite(buf + i, 1, n - i, c->out);
            break;
        }
        if (c->state == LEAVING)
            break;
        if (buf[i] == '\n')
            line(c);
        else if (c->len < sizeof c->text - 1)
            c->text[c->len++] = buf[i];
        else
            drop(c);
    }
}

static void welcome(int listener)
{
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    int fd = accept(listener, (struct sockaddr *)&peer, &len);

    if (fd < 0)
        return;
    if (count == CLIENTS) {
        close(fd);
        return;
    }
    printf("Client connected: ('%s', %d)\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
    memset(&clients[count], 0, sizeof clients[count]);
    clients[count].fd = fd;
    clock_gettime(CLOCK_MONOTONIC, &clients[count].heard);
    count++;
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 32)) {
        perror("port 80");
        return 1;
    }
    printf("Server listening on 127.0.0.1 port 80\n");
    for (;;) {
        struct timespec now;
        int kept = 0, before = count;

        fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
        for (int i = 0; i < count; i++)
            fds[i + 1] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
        if (poll(fds, count + 1, 100) < 0)
            continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (int i = 0; i < before; i++) {
            double silent = now.tv_sec - clients[i].heard.tv_sec + (now.tv_nsec - clients[i].heard.tv_nsec) / 1e9;
            if (fds[i + 1].revents)
                readable(&clients[i]);
            else if (silent > SILENCE)
                drop(&clients[i]);
        }
        /* close the gaps of those who have gone */
        for (int i = 0; i < before; i++)
            if (clients[i].fd >= 0)
                clients[kept++] = clients[i];
        count = kept;
        if (fds[0].revents)
            welcome(listener);
    }
}
