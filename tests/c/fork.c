/* What a forked child can do with what its parent made: cached headers, and nothing that hangs. */
#include "http.h"

#include <sys/wait.h>

#define LOCATION "location:hoopLocation00000001"
#define OTHER "location:hoopLocation00000002"

static void child(hoopauth_client_t *client, const hoopauth_account_t *account,
                  hoopauth_maintenance_t *inherited, const char *bearer)
{
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  CHECK(strcmp(hoopauth_headers_authorization(headers, NULL), bearer) == 0);
  CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
  hoopauth_headers_free(headers);

  /* All that may need the parent's threads, connections or locks. */
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(30, &context, &err));
  FAILS(HOOPAUTH_INVALID_STATE,
        hoopauth_client_headers_by_name(client, OTHER, NUL, "GET", NUL, NULL, &headers, &err));
  FAILS(HOOPAUTH_INVALID_STATE,
        hoopauth_client_headers_by_name(client, OTHER, NUL, "GET", NUL, context, &headers, &err));
  hoopauth_grant_t *grant = NULL;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_export(client, account, NULL, &grant, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_export(client, account, context, &grant, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_remove(client, account, NULL, NULL, &err));
  hoopauth_accounts_t *accounts = NULL;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_accounts(client, NULL, &accounts, &err));
  hoopauth_health_t *health = NULL;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_health(client, account, NULL, &health, &err));
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain(client, INT64_MAX, NULL, &err));
  hoopauth_maintenance_t *maintenance = NULL;
  FAILS(HOOPAUTH_INVALID_STATE, hoopauth_client_maintain_in_background(client, &maintenance, &err));
  hoopauth_context_free(context);

  /* A client of its own. */
  hoopauth_client_t *own = client_of(app_config());
  import(own, OTHER, 0);
  OK(hoopauth_client_headers_by_name(own, OTHER, NUL, "GET", NUL, NULL, &headers, &err));
  CHECK(api_call(headers, "/locations/hoopLocation00000002", NULL) == 200);
  hoopauth_headers_free(headers);
  OK(hoopauth_client_close(own, &err));
  hoopauth_client_free(own);

  /* It need not end or free what it inherited, and nothing hangs if it does. */
  hoopauth_maintenance_free(inherited);
  hoopauth_error_t *error = NULL;
  (void)hoopauth_client_close(client, &error);
  hoopauth_error_free(error);
  hoopauth_client_free(client);
}

static void fork_and_wait(hoopauth_client_t *client, const hoopauth_account_t *account,
                          hoopauth_maintenance_t *maintenance, const char *bearer, bool uses_it)
{
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    if (uses_it) {
      child(client, account, maintenance, bearer);
    }
    exit(0); /* with all exit handlers: none may hang */
  }
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A clock that the child sets on: for a child that lives long. */
static int64_t now_at = 1800000000000;
static uint64_t monotonic_at = 1000;

static int64_t now_ms(void *user_data)
{
  (void)user_data;
  return now_at;
}

static uint64_t monotonic_ms(void *user_data)
{
  (void)user_data;
  return monotonic_at;
}

static void later(int64_t seconds)
{
  now_at += seconds * 1000;
  monotonic_at += (uint64_t)seconds * 1000;
}

/* The cached headers, in each way to get them, or the error of a client that is another process's.
 */
static void all_ways(const hoopauth_client_t *client, const hoopauth_account_t *account,
                     bool served, const char *bearer)
{
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(30, &context, &err));
  for (int way = 0; way < 4; way++) {
    const hoopauth_context_t *within = way % 2 ? context : NULL;
    hoopauth_headers_t *headers = NULL;
    hoopauth_error_t *error = NULL;
    hoopauth_status_t status =
        way < 2 ? hoopauth_client_headers(client, account, "GET", NUL, within, &headers, &error)
                : hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, within,
                                                  &headers, &error);
    CHECK(status == (served ? HOOPAUTH_OK : HOOPAUTH_INVALID_STATE));
    CHECK(!served || strcmp(hoopauth_headers_authorization(headers, NULL), bearer) == 0);
    hoopauth_headers_free(headers);
    hoopauth_error_free(error);
  }
  hoopauth_context_free(context);
}

/* In a child that lives long the cached headers go on until their token ends, not only until the
 * next look at the store. */
static void cached_headers_go_on(void)
{
  hoopauth_clock_callbacks_t clock;
  memset(&clock, 0, sizeof clock);
  clock.struct_size = sizeof clock;
  clock.now_ms = now_ms;
  clock.monotonic_ms = monotonic_ms;
  hoopauth_config_t *config = app_config();
  OK(hoopauth_config_set_clock(config, &clock, &err));
  set_option(config, "store", "sqlite:long.db");
  set_option(config, "store_key", "0123456789abcdef0123456789abcdef");
  hoopauth_client_t *client = client_of(config);
  hoopauth_account_t *account = account_of(client, LOCATION);
  import(client, LOCATION, now_at + 86400 * 1000);
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    const char *bearer = hoopauth_headers_authorization(headers, NULL);
    int64_t passed[] = {0, 3, 3, 10, 3600, 70000, 86399 - 73616};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
      later(passed[i]);
      all_ways(client, account, true, bearer);
    }
    later(2);
    all_ways(client, account, false, bearer);
    exit(0);
  }
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  hoopauth_headers_free(headers);
  hoopauth_account_free(account);
  hoopauth_client_free(client);
}

int main(void)
{
  cached_headers_go_on();
  hoopauth_client_t *client = client_of(app_config());
  hoopauth_account_t *account = account_of(client, LOCATION);
  import(client, LOCATION, 0);
  hoopauth_headers_t *headers = NULL;
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  hoopauth_maintenance_t *maintenance = NULL;
  OK(hoopauth_client_maintain_in_background(client, &maintenance, &err));
  fork_and_wait(client, account, maintenance, hoopauth_headers_authorization(headers, NULL), true);
  fork_and_wait(client, account, maintenance, hoopauth_headers_authorization(headers, NULL), false);
  hoopauth_headers_free(headers);

  /* The parent is none the worse. */
  hoopauth_maintenance_free(maintenance);
  import(client, LOCATION, 0);
  OK(hoopauth_client_headers(client, account, "GET", NUL, NULL, &headers, &err));
  CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
  hoopauth_headers_free(headers);
  hoopauth_account_free(account);
  hoopauth_client_free(client);
  return 0;
}
