/* An echo server on io_uring, with nothing between it and the kernel: accept, recv, send and close are written into a
 * ring of memory that the kernel shares. There is one system call for them all, io_uring_enter: it hands over what is
 * new in the submission ring, and sleeps until something lies in the completion ring.
 *
 *     socklab run io_uring.c
 */
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRIES = 16, CLIENTS = 64, SIZE = 512 };
enum { ACCEPT = 1, RECV, SEND, CLOSE }; /* in the upper half of user_data; the descriptor is the lower half */

static unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static char buffers[CLIENTS][SIZE];
static unsigned to_submit;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int make_ring(void) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    int ring = syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring < 0) die("io_uring_setup");
    size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    char *sq = mmap(NULL, sq_bytes, prot, flags, ring, IORING_OFF_SQ_RING);
    char *cq = mmap(NULL, cq_bytes, prot, flags, ring, IORING_OFF_CQ_RING);
    sqes = mmap(NULL, params.sq_entries * sizeof *sqes, prot, flags, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED) die("mmap");
    sq_tail = (unsigned *)(sq + params.sq_off.tail), sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
    sq_array = (unsigned *)(sq + params.sq_off.array);
    cq_head = (unsigned *)(cq + params.cq_off.head), cq_tail = (unsigned *)(cq + params.cq_off.tail);
    cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
    cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
    return ring;
}

static void submit(int operation, int opcode, int fd, int client, void *addr, unsigned len) {
    unsigned tail = *sq_tail, index = tail & *sq_mask;
    struct io_uring_sqe *sqe = &sqes[index];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode, sqe->fd = fd, sqe->addr = (unsigned long)addr, sqe->len = len;
    sqe->user_data = (unsigned long long)operation << 32 | (unsigned)client;
    sq_array[index] = index;
    __atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE); /* the kernel may look from now on */
    to_submit++;
}

int main(int argc, char **argv) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (listener < 0) die("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8080)};
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0) die("bind");
    if (listen(listener, 5) < 0) die("listen");

    int ring = make_ring();
    submit(ACCEPT, IORING_OP_ACCEPT, listener, 0, NULL, 0);
    for (;;) {
        if (syscall(SYS_io_uring_enter, ring, to_submit, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) die("io_uring_enter");
        to_submit = 0;
        unsigned head = *cq_head, tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++) {
            struct io_uring_cqe *cqe = &cqes[head & *cq_mask];
            int operation = cqe->user_data >> 32, fd = (unsigned)cqe->user_data, result = cqe->res;
            if (operation == ACCEPT) {
                submit(ACCEPT, IORING_OP_ACCEPT, listener, 0, NULL, 0);
                if (result >= 0) submit(RECV, IORING_OP_RECV, result, result, buffers[result % CLIENTS], SIZE);
            } else if (operation == RECV && result > 0) {
                submit(SEND, IORING_OP_SEND, fd, fd, buffers[fd % CLIENTS], result);
            } else if (operation == SEND && result > 0) {
                submit(RECV, IORING_OP_RECV, fd, fd, buffers[fd % CLIENTS], SIZE);
            } else if (operation != CLOSE) {
                submit(CLOSE, IORING_OP_CLOSE, fd, fd, NULL, 0);
            }
        }
        __atomic_store_n(cq_head, head, __ATOMIC_RELEASE); /* the kernel may use their places again */
    }
}
