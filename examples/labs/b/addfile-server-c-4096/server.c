/* addfile server for lab B, texts are lines */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_NAME 200
#define MAX_DATA 4096

static int send_text(int fd, const char *text)
{
    printf("Sent: %s", text);
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* one line without its line feed; -1 if there is none */
static int recv_text(int fd, char *text, int max)
{
    int len = 0;
    char c;

    while (recv(fd, &c, 1, 0) == 1) {
        if (c == '\n') {
            text[len] = '\0';
            return len;
        }
        if (len == max - 1)
            break;
        text[len++] = c;
    }
    return -1;
}

static int save(const char *name, const char *data, ssize_t len)
{
    const char *temp = ".server_temp";
    int f = open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int ok;

    if (f < 0)
        return 0;
    ok = write(f, data, len) == len && fsync(f) == 0;
    ok = close(f) == 0 && ok;
    if (ok && rename(temp, name) == 0)
        return 1;
    unlink(temp);
    return 0;
}

static void client(int fd)
{
    char command[20], name[MAX_NAME], stored[MAX_NAME + 10], data[MAX_DATA];
    ssize_t len;

    if (recv_text(fd, command, sizeof command) < 0) {
        printf("No command\n");
        return;
    }
    printf("Client command: %s\n", command);
    if (strcmp(command, "addfile") != 0)
        return;
    len = recv_text(fd, name, sizeof name);
    if (len < 1 || strlen(name) != (size_t)len || strchr(name, '/')) {
        printf("No good name\n");
        return;
    }
    snprintf(stored, sizeof stored, "server_%s", name);
    printf("Creating new file: %s\n", name);
    if (!send_text(fd, "file recv\n"))
        return;
    printf("Receiving file data for: %s\n", name);
    len = recv(fd, data, sizeof data, 0);
    if (len < 0) {
        perror("recv");
        return;
    }
    if (save(stored, data, len))
        send_text(fd, "file data recv\n");
}

int main(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(80) };
    struct timeval timeout = { .tv_sec = 2 };
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    setlinebuf(stdout);
    inet_aton("127.0.0.1", &addr.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&addr, sizeof addr) || listen(listener, 8)) {
        perror("cannot listen");
        return 1;
    }
    printf("Server listening on 127.0.0.1 port 80\n");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        client(fd);
        close(fd);
    }
}
