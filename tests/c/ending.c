/* What a callback may end: maintenance on its own thread, and the host's last references to the
 * client that calls it.
 */
#include "http.h"

#include <pthread.h>

#define LOCATION "location:hoopLocation00000001"

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  hoopauth_client_t *client;
  hoopauth_account_t *account;
  hoopauth_maintenance_t *maintenance;
  bool armed;
  int refreshed;
  int destroyed;
} held_t;

/* Frees all that the host holds, from within the hook. */
static void frees(void *user_data, const char *changed, size_t changed_len, uint64_t generation,
                  int32_t kind)
{
  held_t *held = user_data;
  CHECK(strlen(changed) == changed_len && generation > 0);
  pthread_mutex_lock(&held->lock);
  bool armed = held->armed && kind == HOOPAUTH_CHANGE_REFRESHED;
  held->armed = held->armed && !armed;
  pthread_mutex_unlock(&held->lock);
  if (!armed) {
    return;
  }
  hoopauth_error_t *error = NULL;
  CHECK(hoopauth_client_close(held->client, &error) == HOOPAUTH_INVALID_STATE);
  hoopauth_error_free(error);
  hoopauth_maintenance_free(held->maintenance);
  hoopauth_account_free(held->account);
  hoopauth_client_free(held->client);
  pthread_mutex_lock(&held->lock);
  held->refreshed++;
  pthread_cond_broadcast(&held->changed);
  pthread_mutex_unlock(&held->lock);
}

static void gone(void *user_data)
{
  held_t *held = user_data;
  pthread_mutex_lock(&held->lock);
  held->destroyed++;
  pthread_cond_broadcast(&held->changed);
  pthread_mutex_unlock(&held->lock);
}

static void make(held_t *held)
{
  hoopauth_config_t *config = app_config();
  hoopauth_change_callbacks_t change;
  memset(&change, 0, sizeof change);
  change.struct_size = sizeof change;
  change.user_data = held;
  change.destroy = gone;
  change.changed = frees;
  OK(hoopauth_config_set_change(config, &change, &err));
  held->client = client_of(config);
  held->account = account_of(held->client, LOCATION);
  held->destroyed = held->refreshed = 0;
}

static void wait_for(held_t *held, int *count)
{
  pthread_mutex_lock(&held->lock);
  while (*count == 0) {
    pthread_cond_wait(&held->changed, &held->lock);
  }
  pthread_mutex_unlock(&held->lock);
}

int main(void)
{
  held_t held;
  memset(&held, 0, sizeof held);
  CHECK(pthread_mutex_init(&held.lock, NULL) == 0 && pthread_cond_init(&held.changed, NULL) == 0);

  /* On maintenance's own thread: nothing waits for itself, and the client goes when that thread is
   * done with it. */
  make(&held);
  pthread_mutex_lock(&held.lock);
  OK(hoopauth_client_maintain_in_background(held.client, &held.maintenance, &err));
  held.armed = true;
  pthread_mutex_unlock(&held.lock);
  import(held.client, LOCATION, 0);
  wait_for(&held, &held.refreshed);
  wait_for(&held, &held.destroyed);

  /* In a call of the client's, of each kind: it goes on to its end with what was freed under it. */
  for (int way = 0; way < 4; way++) {
    make(&held);
    held.maintenance = NULL;
    import(held.client, LOCATION, 0);
    held.armed = true;
    hoopauth_headers_t *headers = NULL;
    hoopauth_context_t *context = NULL;
    OK(hoopauth_context_new(60, &context, &err));
    switch (way) {
    case 0:
      OK(hoopauth_client_headers(held.client, held.account, "GET", NUL, NULL, &headers, &err));
      break;
    case 1:
      OK(hoopauth_client_headers(held.client, held.account, "GET", NUL, context, &headers, &err));
      break;
    case 2:
      OK(hoopauth_client_headers_by_name(held.client, LOCATION, NUL, "GET", NUL, NULL, &headers,
                                         &err));
      break;
    default:
      OK(hoopauth_client_headers_by_name(held.client, LOCATION, NUL, "GET", NUL, context, &headers,
                                         &err));
    }
    CHECK(api_call(headers, "/locations/hoopLocation00000001", NULL) == 200);
    hoopauth_headers_free(headers);
    hoopauth_context_free(context);
    wait_for(&held, &held.destroyed);
  }
  return 0;
}
