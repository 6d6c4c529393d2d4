/* How the C examples send: libcurl, with the headers of hoopauth. Redirects are not followed. */
#ifndef EXAMPLE_HTTP_H
#define EXAMPLE_HTTP_H

#include <curl/curl.h>
#include <hoopauth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What came back; answer_free frees it. */
struct answer {
  long status; /* 0: nothing came back */
  char *body;
  size_t body_len;
  char *location; /* where a redirect leads, or NULL */
};

static size_t answer_append(char *data, size_t unit, size_t size, void *into)
{
  struct answer *answer = into;
  char *longer = realloc(answer->body, answer->body_len + size + 1);
  (void)unit;
  if (!longer)
    return 0;
  answer->body = longer;
  memcpy(answer->body + answer->body_len, data, size);
  answer->body_len += size;
  answer->body[answer->body_len] = '\0';
  return size;
}

/* A list for libcurl of the library's headers; NULL if there is no memory. */
static struct curl_slist *header_list(const hoopauth_headers_t *headers)
{
  struct curl_slist *list = NULL;
  for (size_t i = 0; i < hoopauth_headers_count(headers); i++) {
    hoopauth_header_t header;
    if (hoopauth_headers_at(headers, i, &header, NULL) != HOOPAUTH_OK)
      break;
    size_t size = header.name_len + header.value_len + 3;
    char *line = malloc(size);
    if (line)
      snprintf(line, size, "%s: %s", header.name, header.value);
    struct curl_slist *longer = line ? curl_slist_append(list, line) : NULL;
    free(line);
    if (!longer) {
      curl_slist_free_all(list);
      return NULL;
    }
    list = longer;
  }
  return list;
}

/* Sends a request: headers NULL for none, body NULL for none. */
static struct answer http_send(const char *method, const char *url,
                               const hoopauth_headers_t *headers, const char *body)
{
  struct answer answer = {0, NULL, 0, NULL};
  struct curl_slist *list = header_list(headers);
  char *location = NULL;
  CURL *curl = curl_easy_init();
  if (curl && (list || !headers)) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (body)
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    CURLcode sent = curl_easy_perform(curl);
    if (sent == CURLE_OK) {
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
      curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
      if (location)
        answer.location = strdup(location);
    } else {
      fprintf(stderr, "%s: %s\n", url, curl_easy_strerror(sent));
    }
  }
  curl_easy_cleanup(curl);
  curl_slist_free_all(list);
  return answer;
}

static void answer_free(struct answer *answer)
{
  free(answer->body);
  free(answer->location);
}

/* Ends the program with what went wrong, unless nothing did. */
static void must(hoopauth_status_t status, hoopauth_error_t **err)
{
  if (status == HOOPAUTH_OK)
    return;
  const char *message = hoopauth_error_message(*err, NULL);
  fprintf(stderr, "%s: %s\n", hoopauth_status_name(status), message ? message : "");
  hoopauth_error_free(*err);
  exit(1);
}

#endif
