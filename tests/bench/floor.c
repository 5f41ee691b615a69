/* The least that any server must do: epoll, read, and write finished bytes. Not a web server.
 *
 * Usage: floor FILE_200 FILE_304 FILE_CLOSE PORT. Each file holds a whole reply. A request that says If-None-Match
 * gets the second; one that says "Connection: close" gets the third and the end of the connection. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct reply {
    char bytes[65536];
    size_t size;
};

static void load(struct reply *reply, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    reply->size = fread(reply->bytes, 1, sizeof reply->bytes, file);
    fclose(file);
}

int main(int argc, char **argv) {
    static struct reply full, unchanged, last;
    static char request[65536];
    struct epoll_event events[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    if (argc != 5) return 2;
    load(&full, argv[1]);
    load(&unchanged, argv[2]);
    load(&last, argv[3]);
    address.sin_port = htons((unsigned short)atoi(argv[4]));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    int poll = epoll_create1(0);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &interest);
    for (;;) {
        int ready = epoll_wait(poll, events, 256, -1);
        for (int at = 0; at < ready; at++) {
            int fd = events[at].data.fd;
            if (fd == listener) {
                int client;
                while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    interest.data.fd = client;
                    epoll_ctl(poll, EPOLL_CTL_ADD, client, &interest);
                }
                continue;
            }
            ssize_t size = read(fd, request, sizeof request - 1);
            if (size <= 0) {
                close(fd);
                continue;
            }
            request[size] = 0;
            if (size < 4 || memcmp(request + size - 4, "\r\n\r\n", 4)) continue;
            struct reply *reply = &full;
            if (strstr(request, "If-None-Match")) reply = &unchanged;
            if (strstr(request, "Connection: close")) reply = &last;
            if (write(fd, reply->bytes, reply->size) < 0 || reply == &last) close(fd);
        }
    }
}
