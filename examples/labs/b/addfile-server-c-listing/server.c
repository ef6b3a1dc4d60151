#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "127.0.0.1"
#define PORT 80

/* receives a string */
int recv_text(int conn, char *text, int size)
{
    int n = recv(conn, text, size - 1, 0);
    if (n < 0)
        n = 0;
    text[n] = '\0';
    return n;
}

void addfile(int conn)
{
    char filename[1024], server_filename[1040], data[4096];
    FILE *f;
    int n;

    recv_text(conn, filename, sizeof(filename));
    sprintf(server_filename, "server_%s", filename);
    printf("Creating new file: %s\n", filename);
    f = fopen(server_filename, "wb");
    if (f == NULL) {
        perror("fopen");
        exit(1);
    }
    fclose(f);
    send(conn, "file recv\n", 10, 0);
    printf("Sent: file recv\n");

    printf("Receiving file data for: %s\n", filename);
    n = recv(conn, data, sizeof(data), 0);
    f = fopen(server_filename, "ab");
    if (n > 0)
        fwrite(data, 1, n, f);
    fclose(f);
    send(conn, "file data recv\n", 15, 0);
    printf("Sent: file data recv\n");
}

int main(void)
{
    int server, conn, reuse = 1;
    struct sockaddr_in addr, client;
    socklen_t len;
    char command[1024];

    setbuf(stdout, NULL);
    server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(PORT);
    addr.sin_addr.s_addr = inet_addr(HOST);
    if (bind(server, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        perror("bind");
        exit(1);
    }
    listen(server, 5);
    printf("Server listening on %s port %d\n", HOST, PORT);

    while (1) {
        len = sizeof(client);
        conn = accept(server, (struct sockaddr *)&client, &len);
        printf("Client connected: ('%s', %d)\n", inet_ntoa(client.sin_addr), ntohs(client.sin_port));
        recv_text(conn, command, sizeof(command));
        printf("Client command: %s\n", command);
        if (strcmp(command, "addfile") == 0)
            addfile(conn);
        close(conn);
    }
}
