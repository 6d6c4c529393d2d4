/* A panic in the middle of a call: a status like any other, and the process lives. Linked with the
 * library for fault injection. */
#include "http.h"

#include <pthread.h>

#define LOCATION "location:hoopLocation00000001"

hoopauth_status_t hoopauth_test_panic_at(hoopauth_config_t *config, size_t step,
                                         hoopauth_error_t **err);

enum { STEPS = 8, CHECK_THE_ANSWER = 4 };

static void panics(const hoopauth_client_t *client, const hoopauth_context_t *context, size_t step)
{
  hoopauth_headers_t *headers = (hoopauth_headers_t *)1;
  hoopauth_error_t *error = NULL;
  hoopauth_status_t status =
      hoopauth_client_headers_by_name(client, LOCATION, NUL, "GET", NUL, context, &headers, &error);
  if (status != HOOPAUTH_PANIC) {
    fprintf(stderr, "step %lu: %s\n", (unsigned long)step, hoopauth_status_name(status));
  }
  CHECK(status == HOOPAUTH_PANIC && headers == NULL &&
        hoopauth_error_code(error) == HOOPAUTH_PANIC);
  CHECK(!hoopauth_error_is_retryable(error) && *hoopauth_error_message(error, NULL) != '\0');
  CHECK(strstr(hoopauth_error_message(error, NULL), "a test asked for") == NULL);
  hoopauth_error_free(error);
}

static void *panics_there(void *client)
{
  panics(client, NULL, 0);
  return NULL;
}

int main(void)
{
  hoopauth_context_t *context = NULL;
  OK(hoopauth_context_new(60, &context, &err));
  for (size_t step = 0; step < STEPS; step++) {
    hoopauth_config_t *config = app_config();
    OK(hoopauth_test_panic_at(config, step, &err));
    hoopauth_client_t *client = client_of(config);
    /* On this thread, and on one that the library leaves behind. */
    import(client, LOCATION, 0);
    panics(client, NULL, step);
    /* The client goes on with all that does not come by there, and ends. */
    hoopauth_account_t *account = account_of(client, LOCATION);
    hoopauth_accounts_t *accounts = NULL;
    OK(hoopauth_client_accounts(client, NULL, &accounts, &err));
    CHECK(hoopauth_accounts_count(accounts) == 1);
    hoopauth_accounts_free(accounts);
    hoopauth_account_free(account);
    import(client, LOCATION, 0);
    panics(client, context, step);
    OK(hoopauth_client_close(client, &err));
    hoopauth_client_free(client);
  }

  /* On a thread of the host's. */
  hoopauth_config_t *config = app_config();
  OK(hoopauth_test_panic_at(config, 0, &err));
  hoopauth_client_t *client = client_of(config);
  import(client, LOCATION, 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, panics_there, client) == 0);
  pthread_join(thread, NULL);

  /* Maintenance on this thread. */
  FAILS(HOOPAUTH_PANIC, hoopauth_client_maintain(client, INT64_MAX, NULL, &err));
  hoopauth_client_free(client);

  /* On a thread of the library's: maintenance that panics is over, and frees like any other. */
  config = app_config();
  OK(hoopauth_test_panic_at(config, CHECK_THE_ANSWER, &err));
  client = client_of(config);
  import(client, LOCATION, 0);
  tell("hold", "{\"endpoint\":\"token\"}");
  hoopauth_maintenance_t *maintenance = NULL;
  OK(hoopauth_client_maintain_in_background(client, &maintenance, &err));
  wait_held("token", 1);
  tell("release", "{}");
  hoopauth_maintenance_free(maintenance);
  OK(hoopauth_client_close(client, &err));
  hoopauth_client_free(client);
  hoopauth_context_free(context);
  return 0;
}
