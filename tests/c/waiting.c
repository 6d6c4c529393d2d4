/* Deadlines, cancelling, maintenance, and many threads on one client. */
#include "http.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

#define LOCATION "location:hoopLocation00000001"

static void *cancel_once_held(void *context)
{
  wait_held("token", 1);
  OK(hoopauth_context_cancel(context, &err));
  hoopauth_context_free(context);
  return NULL;
}

static void deadline_and_cancel(const hoopauth_client_t *client)
{
  import(client, LOCATION, 0);
  tell("hold", "{\"endpoint\":\"token\",\"answers\":true}");
  long before = count_of("rotations");
  hoopauth_context_t *context = NULL;
  hoopauth_headers_t *headers = (hoopauth_headers_t *)1;
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_context_new(-1, &context, &err));
  FAILS(HOOPAUTH_INVALID_ARGUMENT, hoopauth_context_new(NAN, &context, &err));
  OK(hoopauth_context_new(0, &context, &err));
  FAILS(HOOPAUTH_TIMEOUT, hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL,
                                                          context, &headers, &err));
  CHECK(headers == NULL);
  hoopauth_context_free(context);

  /* A call that waits for a held answer, ended by its deadline, and one ended by another thread. */
  OK(hoopauth_context_new(0.2, &context, &err));
  FAILS(HOOPAUTH_TIMEOUT, hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL,
                                                          context, &headers, &err));
  hoopauth_context_free(context);
  OK(hoopauth_context_new(INFINITY, &context, &err));
  CHECK(!hoopauth_context_is_cancelled(context));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_once_held, hoopauth_context_ref(context)) == 0);
  FAILS(HOOPAUTH_CANCELLED, hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL,
                                                            context, &headers, &err));
  pthread_join(thread, NULL);
  CHECK(hoopauth_context_is_cancelled(context));
  FAILS(HOOPAUTH_CANCELLED, hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL,
                                                            context, &headers, &err));
  hoopauth_context_free(context);

  /* The refresh itself went on: one rotation, and its result is there for the next. */
  tell("release", "{}");
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
  CHECK(count_of("rotations") == before + 1);
  /* What is cached is served within any context that is not over. */
  hoopauth_headers_free(headers);
  OK(hoopauth_context_new(5, &context, &err));
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, context, &headers, &err));
  hoopauth_headers_free(headers);
  hoopauth_context_free(context);
}

enum { THREADS = 8 };

static void *get_headers(void *client)
{
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, NULL, &headers, &err));
  hoopauth_client_free(client);
  return headers;
}

static void one_request_for_many_threads(hoopauth_client_t *client)
{
  import(client, LOCATION, 0);
  tell("hold", "{\"endpoint\":\"token\"}");
  long before = count_of("token_requests");
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    CHECK(pthread_create(&threads[i], NULL, get_headers, hoopauth_client_ref(client)) == 0);
  }
  wait_held("token", 1);
  tell("release", "{}");
  hoopauth_headers_t *first = NULL;
  for (int i = 0; i < THREADS; i++) {
    void *headers = NULL;
    pthread_join(threads[i], &headers);
    CHECK(headers != NULL);
    if (first == NULL) {
      first = headers;
      continue;
    }
    CHECK(strcmp(hoopauth_headers_authorization(headers, NULL),
                 hoopauth_headers_authorization(first, NULL)) == 0);
    hoopauth_headers_free(headers);
  }
  hoopauth_headers_free(first);
  CHECK(count_of("token_requests") == before + 1);
}

typedef struct {
  pthread_mutex_t lock;
  const hoopauth_account_t *account;
  const hoopauth_client_t *client;
  bool over;
} storm_t;

static void *take_headers(void *user_data)
{
  storm_t *storm = user_data;
  for (bool over = false; !over;) {
    /* Held, put back, and held beyond the next change. */
    hoopauth_headers_t *kept[40] = {NULL};
    for (int i = 0; i < 4000; i++) {
      hoopauth_headers_t **headers = &kept[i % 40];
      hoopauth_headers_free(*headers);
      const char *method = i % 3 == 0 ? "POST" : "GET";
      OK(hoopauth_client_headers(storm->client, storm->account, method, NUL, NULL, headers, &err));
      size_t len = 0;
      const char *value = hoopauth_headers_authorization(*headers, &len);
      CHECK(len > 20 && memcmp(value, "Bearer ", 7) == 0 && value[len] == '\0');
      CHECK((hoopauth_headers_content_type(*headers, NULL) != NULL) == (i % 3 == 0));
    }
    for (int i = 0; i < 40; i++) {
      CHECK(strncmp(hoopauth_headers_authorization(kept[i], NULL), "Bearer ", 7) == 0);
      hoopauth_headers_free(kept[i]);
    }
    pthread_mutex_lock(&storm->lock);
    over = storm->over;
    pthread_mutex_unlock(&storm->lock);
  }
  return NULL;
}

/* Headers of one handle by many threads, while its token changes under them. */
static void handles_while_tokens_change(hoopauth_client_t *client)
{
  import(client, LOCATION, INT64_C(4000000000000));
  hoopauth_account_t *account = account_of(client, LOCATION);
  storm_t storm = {PTHREAD_MUTEX_INITIALIZER, account, client, false};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    CHECK(pthread_create(&threads[i], NULL, take_headers, &storm) == 0);
  }
  for (int i = 0; i < 5; i++) {
    import(client, LOCATION, INT64_C(4000000000000));
    hoopauth_headers_t *headers = NULL;
    OK(hoopauth_client_headers(client, storm.account, "GET", NUL, NULL, &headers, &err));
    CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
    hoopauth_headers_free(headers);
  }
  pthread_mutex_lock(&storm.lock);
  storm.over = true;
  pthread_mutex_unlock(&storm.lock);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
  }
  hoopauth_account_free(account);
}

static void *release_once_cancelled(void *context)
{
  struct timespec pause = {0, 5000000};
  while (!hoopauth_context_is_cancelled(context)) {
    nanosleep(&pause, NULL);
  }
  tell("release", "{}");
  hoopauth_context_free(context);
  return NULL;
}

static void maintenance(hoopauth_client_t *client)
{
  /* In the background, until it is freed. */
  import(client, LOCATION, 0);
  tell("hold", "{\"endpoint\":\"token\"}");
  hoopauth_maintenance_t *running = NULL;
  OK(hoopauth_client_maintain_in_background(client, &running, &err));
  CHECK(running != NULL);
  wait_held("token", 1);
  tell("release", "{}");
  hoopauth_maintenance_free(running);

  /* On this thread, until its context ends. */
  import(client, LOCATION, 0);
  tell("hold", "{\"endpoint\":\"token\"}");
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(INFINITY, &context, &err));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_once_held, hoopauth_context_ref(context)) == 0);
  hoopauth_error_t *error = NULL;
  /* The refresh under way is finished first: let it. */
  pthread_t releaser;
  CHECK(pthread_create(&releaser, NULL, release_once_cancelled, hoopauth_context_ref(context)) ==
        0);
  CHECK(hoopauth_client_maintain(client, INT64_MAX, context, &error) == HOOPAUTH_CANCELLED);
  hoopauth_error_free(error);
  pthread_join(thread, NULL);
  pthread_join(releaser, NULL);
  hoopauth_context_free(context);
  /* Until a moment that has passed: nothing to do. */
  OK(hoopauth_client_maintain(client, 1, NULL, &err));
}

int main(void)
{
  hoopauth_client_t *client = client_of(app_config());
  deadline_and_cancel(client);
  one_request_for_many_threads(client);
  handles_while_tokens_change(client);
  maintenance(client);
  OK(hoopauth_client_close(client, &err));
  hoopauth_maintenance_t *running = (hoopauth_maintenance_t *)1;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain_in_background(client, &running, &err));
  CHECK(running == NULL);
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain(client, INT64_MAX, NULL, &err));
  hoopauth_client_free(client);
  return 0;
}
