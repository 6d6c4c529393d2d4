/* HTTP/1.1 to the local HoopAI over a plain socket: for its control calls, for API calls, and as a
 * transport of the host's own. */
#ifndef HTTP_H
#define HTTP_H

#include "check.h"

#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  int status;
  char *text; /* the whole answer, NUL-terminated; to be freed */
  char *head; /* the header lines */
  char *body;
  size_t body_len;
} answer_t;

/* Sends method to url ("http://127.0.0.1:PORT/PATH") with further header lines, each ended by \r\n.
 * -1: no connection, -2: no answer. */
static inline int http_send(const char *method, const char *url, const char *lines,
                            const char *body, size_t body_len, answer_t *answer)
{
  unsigned port = 0;
  int path_at = 0;
  CHECK(sscanf(url, "http://127.0.0.1:%u%n", &port, &path_at) == 1);
  const char *path = url[path_at] ? url + path_at : "/";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in to;
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons((unsigned short)port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    close(fd);
    return -1;
  }
  size_t size = strlen(path) + strlen(lines) + body_len + 200;
  char *out = malloc(size);
  int head = snprintf(
      out, size,
      "%s %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\nconnection: close\r\ncontent-length: %lu\r\n%s\r\n",
      method, path, port, (unsigned long)body_len, lines);
  if (body_len > 0) {
    memcpy(out + head, body, body_len);
  }
  size_t len = (size_t)head + body_len;
  for (size_t sent = 0; sent < len;) {
    ssize_t n = send(fd, out + sent, len - sent, MSG_NOSIGNAL);
    if (n <= 0) {
      break;
    }
    sent += (size_t)n;
  }
  free(out);
  size_t room = 65536, got = 0;
  char *in = malloc(room + 1);
  for (;;) {
    ssize_t n = recv(fd, in + got, room - got, 0);
    if (n <= 0) {
      break;
    }
    got += (size_t)n;
    if (got == room) {
      room *= 2;
      in = realloc(in, room + 1);
    }
  }
  close(fd);
  in[got] = '\0';
  char *end = strstr(in, "\r\n\r\n");
  if (end == NULL || sscanf(in, "HTTP/1.1 %d", &answer->status) != 1) {
    free(in);
    return -2;
  }
  end[2] = '\0';
  answer->text = in;
  answer->head = strstr(in, "\r\n") + 2;
  answer->body = end + 4;
  answer->body_len = got - (size_t)(answer->body - in);
  return 0;
}

static inline int lower(int c)
{
  return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* The value of a header of the answer; to be freed; NULL if it is not there. */
static inline char *header_of(const answer_t *answer, const char *name)
{
  size_t len = strlen(name);
  for (const char *line = answer->head; *line != '\0';) {
    const char *end = strstr(line, "\r\n");
    size_t same = 0;
    while (same < len && lower(line[same]) == name[same]) {
      same++;
    }
    if (same == len && line[len] == ':') {
      const char *value = line + len + 1;
      while (*value == ' ') {
        value++;
      }
      size_t value_len = (size_t)(end - value);
      char *copy = malloc(value_len + 1);
      memcpy(copy, value, value_len);
      copy[value_len] = '\0';
      return copy;
    }
    line = end + 2;
  }
  return NULL;
}

/* A control call of the local HoopAI; its body, to be freed. */
static inline char *control(const char *method, const char *path, const char *json)
{
  char url[300];
  snprintf(url, sizeof url, "%s/%s", setting("TEST_CONTROL"), path);
  answer_t answer;
  CHECK(http_send(method, url, "user-agent: test\r\n", json, strlen(json), &answer) == 0);
  if (answer.status != 200) {
    fprintf(stderr, "control %s %s: %d %s\n", path, json, answer.status, answer.body);
    exit(1);
  }
  char *body = malloc(answer.body_len + 1);
  memcpy(body, answer.body, answer.body_len + 1);
  free(answer.text);
  return body;
}

static inline void tell(const char *path, const char *json)
{
  free(control("POST", path, json));
}

/* A text member of a flat JSON object; to be freed. */
static inline char *member(const char *json, const char *name)
{
  char key[60];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *at = strstr(json, key);
  CHECK(at != NULL);
  at += strlen(key);
  size_t len = strcspn(at, "\"");
  char *copy = malloc(len + 1);
  memcpy(copy, at, len);
  copy[len] = '\0';
  return copy;
}

/* A number of the local HoopAI's statistics. */
static inline long count_of(const char *name)
{
  char *all = control("GET", "statistics", "");
  char key[60];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *at = strstr(all, key);
  CHECK(at != NULL);
  long count = strtol(at + strlen(key), NULL, 10);
  free(all);
  return count;
}

/* Waits until the endpoint holds that many requests. */
static inline void wait_held(const char *endpoint, int at_least)
{
  char path[100];
  snprintf(path, sizeof path, "held?endpoint=%s&at_least=%d&timeout=60", endpoint, at_least);
  char *held = control("GET", path, "");
  CHECK(strstr(held, "\"reached\":true") != NULL);
  free(held);
}

/* An API call with these headers; the status. answer may be NULL. */
static inline int api_call(const hoopauth_headers_t *headers, const char *path, answer_t *answer)
{
  char url[300];
  snprintf(url, sizeof url, "%s%s", setting("TEST_API"), path);
  size_t count = hoopauth_headers_count(headers), room = 1;
  hoopauth_header_t header;
  for (size_t i = 0; i < count; i++) {
    OK(hoopauth_headers_at(headers, i, &header, &err));
    room += header.name_len + header.value_len + 4;
  }
  char *lines = malloc(room);
  *lines = '\0';
  for (size_t i = 0; i < count; i++) {
    OK(hoopauth_headers_at(headers, i, &header, &err));
    CHECK(strlen(header.name) == header.name_len && strlen(header.value) == header.value_len);
    sprintf(lines + strlen(lines), "%s: %s\r\n", header.name, header.value);
  }
  answer_t own;
  answer_t *to = answer ? answer : &own;
  CHECK(http_send("GET", url, lines, "", 0, to) == 0);
  free(lines);
  int status = to->status;
  if (answer == NULL) {
    free(own.text);
  }
  return status;
}

/* Where the authorization page sends the user who approves for account; to be freed. */
static inline char *approve(const char *page, const char *account)
{
  size_t room = strlen(page) + 80;
  char *url = malloc(room);
  snprintf(url, room, "%s&approve=%s", page, account);
  answer_t answer;
  CHECK(http_send("GET", url, "user-agent: browser\r\n", "", 0, &answer) == 0);
  CHECK(answer.status == 302);
  char *redirect = header_of(&answer, "location");
  CHECK(redirect != NULL);
  free(answer.text);
  free(url);
  return redirect;
}

/* Imports a live grant of the account, whose access token ends at expires_at_ms (0: it has ended,
 * the first use refreshes). */
static inline void import(const hoopauth_client_t *client, const char *account,
                          int64_t expires_at_ms)
{
  char json[100];
  snprintf(json, sizeof json, "{\"account\":\"%s\"}", account);
  char *issued = control("POST", "grants", json);
  char *access = member(issued, "access_token"), *refresh = member(issued, "refresh_token");
  char *company = member(issued, "company_id");
  hoopauth_grant_t *grant = NULL;
  OK(hoopauth_grant_new(account, NUL, access, NUL, &grant, &err));
  OK(hoopauth_grant_set_refresh_token(grant, refresh, NUL, &err));
  OK(hoopauth_grant_set_company_id(grant, company, NUL, &err));
  OK(hoopauth_grant_set_expires_at_ms(grant, expires_at_ms, &err));
  int32_t outcome = 0;
  OK(hoopauth_client_import(client, grant, true, NULL, &outcome, &err));
  CHECK(outcome == HOOPAUTH_IMPORT_IMPORTED);
  hoopauth_grant_free(grant);
  free(company);
  free(refresh);
  free(access);
  free(issued);
}

#endif
