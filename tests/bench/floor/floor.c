// The least that a server can do, as the floor of the push benchmark: one epoll loop that sends
// every stream the same bytes by HTTP/2 in plaintext, and reads what comes back. It keeps the
// client's flow control, answers its pings and settings, and looks at nothing else; a connection
// carries one stream.
//
//	floor ADDRESS VARIANT FOLDER   with the arguments, input and output of the peers in Go

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { ACK = 1, PADDED = 8, INITIAL_WINDOW_SIZE = 4, MAX_FRAME_SIZE = 5 };
enum {
	HEAD = 9,           // bytes ahead of a frame's payload
	MESSAGE_HEAD = 5,   // and of a gRPC message
	FRAME = 16384,      // the largest payload that is taken without a setting
	WINDOW = 65535,     // and how many bytes may be under way
	FRAMES = 32,        // that are written by one call
};
static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct text {
	unsigned char *bytes;
	size_t size;
};

struct connection {
	int socket;
	uint32_t stream;     // 0 until the client has opened it
	bool greeted;        // the client's preface has come
	int64_t window, stream_window, initial_window, frame; // what the client takes
	struct text rest;    // of what has come: the beginning of a frame
	struct text out;     // of what has gone: what the socket had no room for
	const struct text *body; // of the response that is under way, and how much of it has gone
	size_t at;
	unsigned messages, version; // requests that have come, and the newest version that has gone
	unsigned char head[MESSAGE_HEAD]; // of the request that is under way, and what is left of it
	size_t head_size, message_left;
	uint32_t unreleased; // bytes that have been read without telling the client
	struct connection *next, *previous;
};

static struct connection everybody = {.next = &everybody, .previous = &everybody};
static struct text bodies[3]; // the first response, and those of the odd and even pushes
static unsigned version;
static int events;
static unsigned char input[1 << 18];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void append(struct text *to, const void *bytes, size_t size)
{
	if (size == 0)
		return;
	if ((to->bytes = realloc(to->bytes, to->size + size)) == NULL)
		fail("memory");
	memcpy(to->bytes + to->size, bytes, size);
	to->size += size;
}

static void clear(struct text *one) { free(one->bytes), *one = (struct text){0}; }

static int64_t least(int64_t one, int64_t other) { return one < other ? one : other; }

static uint32_t number(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static void write_head(unsigned char *to, size_t size, enum type type, int flags, uint32_t stream)
{
	uint32_t id = htonl(stream);
	to[0] = size >> 16, to[1] = size >> 8, to[2] = size, to[3] = type, to[4] = flags;
	memcpy(to + 5, &id, sizeof id);
}

static void queue(struct connection *one, int type, int flags, uint32_t stream, const void *payload, size_t size)
{
	unsigned char head[HEAD];
	write_head(head, size, type, flags, stream);
	append(&one->out, head, sizeof head);
	append(&one->out, payload, size);
}

// The response that goes next, if there is one.
static void choose(struct connection *one)
{
	if (one->body != NULL || one->messages == 0 || one->version == version + 1)
		return;
	one->version = version + 1;
	one->body = &bodies[version == 0 ? 0 : 2 - version % 2];
	one->at = 0;
}

// As many frames as windows have room for; false if the connection is over.
static bool flush(struct connection *one)
{
	for (;;) {
		unsigned char heads[FRAMES][HEAD];
		struct iovec parts[2 * FRAMES + 1];
		int count = 0, frames = 0;
		size_t size = one->out.size;
		if (size > 0)
			parts[count++] = (struct iovec){one->out.bytes, one->out.size};
		for (choose(one); frames < FRAMES && one->body != NULL; choose(one)) {
			int64_t part = least(one->body->size - one->at, one->frame);
			part = least(part, least(one->window, one->stream_window));
			if (part <= 0)
				break;
			write_head(heads[frames], part, DATA, 0, one->stream);
			parts[count++] = (struct iovec){heads[frames++], HEAD};
			parts[count++] = (struct iovec){one->body->bytes + one->at, part};
			size += HEAD + part;
			one->window -= part;
			one->stream_window -= part;
			one->at += part;
			if (one->at == one->body->size)
				one->body = NULL;
		}
		if (count == 0)
			return true;
		ssize_t gone = writev(one->socket, parts, count);
		if (gone < 0 && errno != EAGAIN)
			return false;
		if ((size_t)gone == size) {
			clear(&one->out);
			continue;
		}
		// The rest goes once the socket has room again.
		struct text rest = {0};
		size_t left = gone < 0 ? 0 : gone;
		for (int i = 0; i < count; i++) {
			size_t skip = least(left, parts[i].iov_len);
			append(&rest, (unsigned char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
			left -= skip;
		}
		clear(&one->out);
		one->out = rest;
		return true;
	}
}

// Counts the messages in the payload of a DATA frame.
static void read_messages(struct connection *one, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		if (one->head_size < MESSAGE_HEAD) {
			one->head[one->head_size++] = *bytes++;
			size--;
			one->message_left = number(one->head + 1);
		} else {
			size_t part = least(one->message_left, size);
			bytes += part, size -= part;
			one->message_left -= part;
		}
		if (one->head_size == MESSAGE_HEAD && one->message_left == 0) {
			one->head_size = 0;
			one->messages++;
		}
	}
}

static void read_settings(struct connection *one, const unsigned char *bytes, size_t size)
{
	for (; size >= 6; bytes += 6, size -= 6) {
		int64_t value = number(bytes + 2);
		if (bytes[1] == INITIAL_WINDOW_SIZE) {
			one->stream_window += value - one->initial_window;
			one->initial_window = value;
		} else if (bytes[1] == MAX_FRAME_SIZE) {
			one->frame = value;
		}
	}
	queue(one, SETTINGS, ACK, 0, NULL, 0);
}

// False if the connection is over.
static bool take(struct connection *one, int type, int flags, uint32_t stream, const unsigned char *payload, size_t size)
{
	// `:status: 200` of the static table, and `content-type: application/grpc` in full.
	static const char headers[] = "\x88\x0f\x10\x10" "application/grpc";
	switch (type) {
	case HEADERS:
		if (one->stream != 0)
			return false;
		one->stream = stream;
		queue(one, HEADERS, 4, stream, headers, sizeof headers - 1);
		break;
	case DATA:
		if (flags & PADDED || stream != one->stream)
			return false;
		read_messages(one, payload, size);
		one->unreleased += size;
		if (one->unreleased > WINDOW / 2) {
			uint32_t all = htonl(one->unreleased);
			queue(one, WINDOW_UPDATE, 0, 0, &all, sizeof all);
			queue(one, WINDOW_UPDATE, 0, stream, &all, sizeof all);
			one->unreleased = 0;
		}
		break;
	case SETTINGS:
		if (!(flags & ACK))
			read_settings(one, payload, size);
		break;
	case PING:
		if (!(flags & ACK))
			queue(one, PING, ACK, 0, payload, size);
		break;
	case WINDOW_UPDATE:
		if (size != 4)
			return false;
		*(stream == 0 ? &one->window : &one->stream_window) += number(payload) & 0x7fffffff;
		break;
	case RST_STREAM:
	case GOAWAY:
		return false;
	}
	return true;
}

// Takes the frames that are whole; gives how many bytes these are, -1 if the connection is over.
static ssize_t take_frames(struct connection *one, const unsigned char *bytes, size_t size)
{
	size_t at = 0;
	if (!one->greeted) {
		if (size < sizeof PREFACE - 1)
			return 0;
		if (memcmp(bytes, PREFACE, sizeof PREFACE - 1) != 0)
			return -1;
		one->greeted = true;
		at = sizeof PREFACE - 1;
		queue(one, SETTINGS, 0, 0, NULL, 0);
	}
	while (size - at >= HEAD) {
		const unsigned char *head = bytes + at;
		size_t length = head[0] << 16 | head[1] << 8 | head[2];
		if (length > FRAME)
			return -1;
		if (size - at < HEAD + length)
			break;
		if (!take(one, head[3], head[4], number(head + 5) & 0x7fffffff, head + HEAD, length))
			return -1;
		at += HEAD + length;
	}
	return at;
}

// False if the connection is over.
static bool receive(struct connection *one)
{
	for (;;) {
		size_t before = one->rest.size;
		memcpy(input, one->rest.bytes ? one->rest.bytes : input, before);
		ssize_t size = read(one->socket, input + before, sizeof input - before);
		if (size < 0)
			return errno == EAGAIN;
		if (size == 0)
			return false;
		bool whole = before + size < sizeof input;
		clear(&one->rest);
		ssize_t taken = take_frames(one, input, before + size);
		if (taken < 0)
			return false;
		append(&one->rest, input + taken, before + size - taken);
		if (whole)
			return true;
	}
}

static void end(struct connection *one)
{
	close(one->socket);
	one->next->previous = one->previous;
	one->previous->next = one->next;
	clear(&one->rest);
	clear(&one->out);
	free(one);
}

static void watch(int descriptor, uint32_t of, void *what)
{
	struct epoll_event event = {.events = of, .data.ptr = what};
	if (epoll_ctl(events, EPOLL_CTL_ADD, descriptor, &event) != 0)
		fail("epoll_ctl");
}

static void accept_all(int listener)
{
	int new;
	while ((new = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		int on = 1;
		setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct connection *one = malloc(sizeof *one);
		if (one == NULL)
			fail("memory");
		*one = (struct connection){
			.socket = new, .window = WINDOW, .stream_window = WINDOW, .initial_window = WINDOW,
			.frame = FRAME, .next = everybody.next, .previous = &everybody};
		one->next->previous = everybody.next = one;
		watch(new, EPOLLIN | EPOLLOUT | EPOLLET, one);
	}
}

// A new version for each line on the input.
static void push(void)
{
	char lines[256];
	ssize_t size = read(STDIN_FILENO, lines, sizeof lines);
	if (size <= 0)
		exit(0);
	for (ssize_t i = 0; i < size; i++)
		version += lines[i] == '\n';
	// One that is over is ended by its own event: there may be others of it already.
	for (struct connection *one = everybody.next; one != &everybody; one = one->next)
		if (one->stream != 0 && !flush(one))
			shutdown(one->socket, SHUT_RDWR);
}

static struct text response(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail(path);
	struct text one = {0};
	append(&one, "\0\0\0\0", MESSAGE_HEAD);
	char part[1 << 16];
	for (size_t size; (size = fread(part, 1, sizeof part, file)) > 0;)
		append(&one, part, size);
	fclose(file);
	uint32_t size = htonl(one.size - MESSAGE_HEAD);
	memcpy(one.bytes + 1, &size, sizeof size);
	return one;
}

static int listen_on(char *address)
{
	char *colon = strrchr(address, ':');
	struct sockaddr_in where = {.sin_family = AF_INET};
	if (colon == NULL || (*colon = 0, inet_pton(AF_INET, address, &where.sin_addr)) != 1)
		fail("ADDRESS must be an IPv4 address and a port");
	where.sin_port = htons(atoi(colon + 1));
	int on = 1, one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (one < 0 || setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(one, (struct sockaddr *)&where, sizeof where) != 0 || listen(one, 4096) != 0)
		fail(address);
	return one;
}

int main(int count, char **words)
{
	if (count != 4)
		fail("usage: floor ADDRESS VARIANT FOLDER");
	bool delta = strcmp(words[2], "delta") == 0;
	bodies[0] = response(words[3], delta ? "first.delta" : "a");
	bodies[1] = response(words[3], delta ? "b.delta" : "b");
	bodies[2] = response(words[3], delta ? "a.delta" : "a");
	struct rlimit most;
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		setrlimit(RLIMIT_NOFILE, &most);
	}
	events = epoll_create1(0);
	int listener = listen_on(words[1]);
	watch(listener, EPOLLIN, &listener);
	watch(STDIN_FILENO, EPOLLIN, bodies);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event some[256];
		int size = epoll_wait(events, some, 256, -1);
		for (int i = 0; i < size; i++) {
			void *what = some[i].data.ptr;
			if (what == &listener)
				accept_all(listener);
			else if (what == bodies)
				push();
			else if (!receive(what) || !flush(what))
				end(what);
		}
	}
}
